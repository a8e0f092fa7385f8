"""sample-adaptive: rounds through the store, judged as they arrive, resumed after a kill, on a real small model."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from refusal_stability.commands.sample_adaptive import run, sample_adaptive
from refusal_stability.files import STORE
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.measures.adaptive.rules import StoppingRule
from refusal_stability.records import StudyError
from refusal_stability.stages import generate, judge
from refusal_stability.tables.adaptive import ESTIMATES_TABLE, STOPPED_TABLE, estimates_file, stopped_file
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import PROMPT_TABLE

N_PROMPTS, N_SAMPLES = 24, 8
RULE = StoppingRule("agreement", first=2, batch=4, audit=0.2)


@pytest.fixture
def study(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of 24 prompts x 2 temperatures x 4 seeds; a judge of labels that were recorded beforehand."""
    monkeypatch.chdir(tmp_path)
    ids = [f"p{i:02d}" for i in range(N_PROMPTS)]
    table = pd.DataFrame({"prompt_id": ids, "prompt": [f"Request {i}" for i in ids], "category": "", "source": "test"})
    write_table(table, Path("data/prompts/prompts.csv"), PROMPT_TABLE)
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for position, prompt in enumerate(ids):
        for temperature in (0.0, 1.0):
            for seed in (1, 2, 3, 4):
                wavers = position % 3 == 0 and temperature == 1.0 and rng.random() < 0.6
                label = "COMPLY" if wavers else "REFUSE"
                rows.append(
                    {"model": "tiny", "prompt_id": prompt, "temperature": temperature, "seed": seed, "label": label}
                )
    Path("data/raw").mkdir(parents=True)
    pd.DataFrame(rows).to_csv("data/raw/labels.csv", index=False)
    known = {"layout": "table", "files": ["labels.csv"], "models": {"tiny": "tiny"}}
    params = {
        "study": "test",
        "sampling": {"temperatures": [0.0, 1.0], "seeds": [1, 2, 3, 4], "max_tokens": 4},
        "models": {"tiny": {"path": str(tiny_model), "settings": {"dtype": "float32", "device": "cpu"}}},
        "judging": {
            "primary": "known",
            "judges": {"known": {"kind": "recorded", "path": "data/raw", "settings": known}},
        },
    }
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return Path("params.yaml")


def stored() -> int:
    with sqlite3.connect(STORE) as database:
        return int(database.execute("SELECT count(*) FROM completions").fetchone()[0])


def made() -> int:
    """Completions that all finished runs together generated, by their own records."""
    with sqlite3.connect(STORE) as database:
        return int(database.execute("SELECT coalesce(sum(completions), 0) FROM sessions").fetchone()[0])


def test_it_asks_for_what_it_reports_and_the_full_study_pays_only_for_the_rest(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("tiny", RULE, 0, study)
    table = read_table(stopped_file("tiny"), STOPPED_TABLE)
    spent = int(table["spent"].sum())
    assert spent == stored() < N_PROMPTS * N_SAMPLES
    assert (table.loc[table["audited"], "spent"] == N_SAMPLES).all()
    assert (table.loc[~table["audited"], "spent"] == table.loc[~table["audited"], "taken"]).all()
    output = capsys.readouterr().out
    assert f"tiny, none: {spent} of {N_PROMPTS * N_SAMPLES} samples" in output
    estimates = read_table(estimates_file("tiny"), ESTIMATES_TABLE)
    assert {"mean_ssi", "pct_flipped", "mean_difference"} <= set(estimates["figure"])
    # A second run asks nothing and writes the same.
    before = stopped_file("tiny").read_bytes(), estimates_file("tiny").read_bytes()
    run("tiny", RULE, 0, study)
    assert (stopped_file("tiny").read_bytes(), estimates_file("tiny").read_bytes()) == before
    assert stored() == spent
    generate.run("tiny", study)
    judge.run("tiny", study)
    assert stored() == N_PROMPTS * N_SAMPLES
    assert made() == N_PROMPTS * N_SAMPLES
    # What the rule saw is what the full study holds.
    labels = pd.concat(pd.read_csv(file) for file in Path("data/labels/tiny").glob("*_labels.csv"))
    counts = labels.groupby(["prompt_id", "label"]).size().unstack(fill_value=0)
    share = counts.max(axis=1) / counts.sum(axis=1)
    whole = table[table["reason"] == "whole grid"].set_index("prompt_id")
    assert len(whole) > 0
    assert ((share[whole.index] < 0.8) == (whole["verdict"] == "unstable")).all()


def test_a_kill_within_a_round_loses_and_repeats_nothing(study: Path) -> None:
    command = [sys.executable, "-m", "refusal_stability.cli", "sample-adaptive", "tiny", "--batch", "4"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while process.poll() is None and not (STORE.is_file() and _begun()):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept, recorded = stored(), made()
    assert 0 < kept < N_PROMPTS * N_SAMPLES
    sample_adaptive("tiny", batch=4, params=study)
    killed = stopped_file("tiny").read_bytes()
    spent = int(read_table(stopped_file("tiny"), STOPPED_TABLE)["spent"].sum())
    assert stored() == spent
    assert made() - recorded == spent - kept
    STORE.unlink()
    sample_adaptive("tiny", batch=4, params=study)
    assert stopped_file("tiny").read_bytes() == killed


def _begun() -> bool:
    try:
        return stored() > 0
    except sqlite3.OperationalError:
        return False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "other"}, "MODEL: other is not allowed; allowed: one of tiny"),
        ({"rule": "full"}, "--rule: full is not allowed; allowed: one of population, each_prompt, agreement"),
        ({"alpha": 0.0}, "--alpha: 0.0 is not allowed"),
        ({"budget": 2.0}, "--budget: 2.0 is not allowed"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(study: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError) as caught:
        sample_adaptive(**{"model": "tiny", "params": study, **options})
    assert words in str(caught.value)


def test_too_many_samples_without_a_decision_fail_as_in_the_judge_stage(study: Path) -> None:
    labels = pd.read_csv("data/raw/labels.csv")
    labels.loc[labels["seed"] == 1, "label"] = "ERROR"
    labels.to_csv("data/raw/labels.csv", index=False)
    with pytest.raises(JudgingError, match="samples have no decision, more than"):
        run("tiny", RULE, 0, study)
