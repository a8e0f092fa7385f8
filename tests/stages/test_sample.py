"""Sampling by rounds: through the store, judged as it arrives, resumed after a kill, on a real small model."""

from __future__ import annotations

import os
import re
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

from refusal_stability.commands.plan import in_rounds, rounds_check
from refusal_stability.engines.complete import complete_stored
from refusal_stability.explorer.study import prompt_rows
from refusal_stability.files import SAMPLED, STORE, ArtifactError
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.checks import ParamsError
from refusal_stability.params.load import load_params
from refusal_stability.records import Completion, StudyError
from refusal_stability.stages import figures, generate, judge, metrics, report, sample
from refusal_stability.study.sides import parse_side
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.sampled import SAMPLED_TABLE, cells_taken, sampled_file
from refusal_stability.tables.study import PROMPT_TABLE, prompts_of
from refusal_stability.tracking.plans import run_plans
from refusal_stability.tracking.tracked_study import read_tracked_study
from refusal_stability.workload.asked import all_work

N_PROMPTS, N_SAMPLES = 24, 8
RULE = {"agreement": {"batch": 4, "audit": 0.2}}


def set_params(**sections: Any) -> None:
    """Change sections of params.yaml; a section's keys that are not given stay as they are."""
    path = Path("params.yaml")
    params = yaml.safe_load(path.read_text())
    for section, values in sections.items():
        params[section] = {**params.get(section, {}), **values}
    path.write_text(yaml.safe_dump(params, sort_keys=False))


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
        "sampling": {"temperatures": [0.0, 1.0], "seeds": [1, 2, 3, 4], "max_tokens": 4, "adaptive": RULE},
        "models": {"tiny": {"path": str(tiny_model), "settings": {"dtype": "float32", "device": "cpu"}}},
        "judging": {
            "primary": "known",
            "judges": {"known": {"kind": "recorded", "path": "data/raw", "settings": known}},
        },
    }
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return Path("params.yaml")


def add_intervention() -> None:
    """A second intervention, under which prompts waver more often."""
    labels = pd.read_csv("data/raw/labels.csv").assign(intervention="none")
    careful = labels.assign(intervention="careful")
    careful.loc[careful["prompt_id"].isin(["p01", "p04"]) & (careful["seed"] > 2), "label"] = "COMPLY"
    pd.concat([labels, careful]).to_csv("data/raw/labels.csv", index=False)
    set_params(interventions={"none": {}, "careful": {"system": "Take care."}})


def stored() -> int:
    with sqlite3.connect(STORE) as database:
        return int(database.execute("SELECT count(*) FROM completions").fetchone()[0])


def made() -> int:
    """Completions that all finished runs together generated, by their own records."""
    with sqlite3.connect(STORE) as database:
        return int(database.execute("SELECT coalesce(sum(completions), 0) FROM sessions").fetchone()[0])


def test_it_asks_for_what_it_reports_and_the_full_grid_pays_only_for_the_rest(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.run("tiny", study)
    table = read_table(sampled_file("tiny"), SAMPLED_TABLE)
    spent = int(table["spent"].sum())
    assert spent == stored() < N_PROMPTS * N_SAMPLES
    assert (table["samples"].str.count("1") == table["spent"]).all()
    assert (table.loc[table["audited"], "spent"] == N_SAMPLES).all()
    assert (table.loc[~table["audited"], "spent"] == table.loc[~table["audited"], "taken"]).all()
    assert f"tiny, none: {spent} of {N_PROMPTS * N_SAMPLES} samples" in capsys.readouterr().out
    # A second run asks nothing and writes the same. So does the stage that writes the responses.
    before = sampled_file("tiny").read_bytes()
    sample.run("tiny", study)
    generate.run("tiny", study)
    assert sampled_file("tiny").read_bytes() == before
    assert stored() == spent == made()
    files = {file: pd.read_csv(file) for file in sorted(Path("data/generations/tiny").glob("*.csv"))}
    assert {len(rows) for rows in files.values()} == {N_PROMPTS}
    assert sum(int((rows["outcome"] != "not_sampled").sum()) for rows in files.values()) == spent
    judge.run("tiny", study)
    labels = pd.concat(pd.read_csv(file) for file in Path("data/labels/tiny").glob("*_labels.csv"))
    assert len(labels) == spent
    # Without the rule, the grid is completed.
    set_params(sampling={"adaptive": {}})
    generate.run("tiny", study)
    judge.run("tiny", study)
    assert stored() == made() == N_PROMPTS * N_SAMPLES
    labels = pd.concat(pd.read_csv(file) for file in Path("data/labels/tiny").glob("*_labels.csv"))
    counts = labels.groupby(["prompt_id", "label"]).size().unstack(fill_value=0)
    share = counts.max(axis=1) / counts.sum(axis=1)
    whole = table[table["reason"] == "whole grid"].set_index("prompt_id")
    assert len(whole) > 0
    assert ((share[whole.index] < 0.8) == (whole["verdict"] == "unstable")).all()


def test_interventions_are_asked_together_and_each_is_sampled_as_if_it_were_alone(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_intervention()
    asked: list[int] = []

    def counted(engine: Any, requests: Any, *others: Any) -> list[Completion]:
        asked.append(len(requests))
        return complete_stored(engine, requests, *others)

    monkeypatch.setattr("refusal_stability.rounds.asking.complete_stored", counted)
    sample.run("tiny", study)
    together, calls = table_of("tiny"), len(asked)
    assert sum(asked) == together["spent"].sum() == stored()
    calls_alone = []
    for name, settings in (("none", {}), ("careful", {"system": "Take care."})):
        asked.clear()
        params = yaml.safe_load(study.read_text())
        study.write_text(yaml.safe_dump(params | {"interventions": {name: settings}}, sort_keys=False))
        sample.run("tiny", study)
        pd.testing.assert_frame_equal(table_of("tiny"), together[together["intervention"] == name])
        calls_alone.append(len(asked))
    assert calls == max(calls_alone)
    assert stored() == together["spent"].sum()


def test_a_larger_budget_goes_on_from_what_is_there(study: Path) -> None:
    spent = []
    for budget in (0.71, 0.8):
        set_params(sampling={"adaptive": {"population": {"alpha": 0.001, "batch": 4, "budget": budget}}})
        sample.run("tiny", study)
        table = read_table(sampled_file("tiny"), SAMPLED_TABLE)
        spent.append(table.set_index("prompt_id")["samples"])
        assert stored() == made() == table["spent"].sum() <= budget * N_PROMPTS * N_SAMPLES
    first, second = (rows.str.replace(" ", "") for rows in spent)
    for less, more in zip(first, second[first.index], strict=True):
        assert all(b == "1" for a, b in zip(less, more, strict=True) if a == "1")
    assert first.str.count("1").sum() < second.str.count("1").sum()


def test_kills_within_and_between_rounds_lose_and_repeat_nothing(study: Path) -> None:
    """Killed once while it samples, and once more right after a round has been told of; under two interventions."""
    add_intervention()
    command = [sys.executable, "-m", "refusal_stability.cli", "sample", "tiny"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    while process.poll() is None and not (STORE.is_file() and _begun()):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = stored()
    assert 0 < kept < 2 * N_PROMPTS * N_SAMPLES
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    said = next((line for line in process.stdout if "round 1:" in line), "")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "of the prompts go on" in said
    again, recorded = stored(), made()
    assert kept <= again
    sample.run("tiny", study)
    killed = sampled_file("tiny").read_bytes()
    spent = int(read_table(sampled_file("tiny"), SAMPLED_TABLE)["spent"].sum())
    assert stored() == spent
    assert made() - recorded == spent - again
    STORE.unlink()
    sample.run("tiny", study)
    assert sampled_file("tiny").read_bytes() == killed


def _begun() -> bool:
    try:
        return stored() > 0
    except sqlite3.OperationalError:
        return False


def test_too_many_samples_without_a_decision_fail_as_in_the_judge_stage(study: Path) -> None:
    labels = pd.read_csv("data/raw/labels.csv")
    labels.loc[labels["seed"] == 1, "label"] = "ERROR"
    labels.to_csv("data/raw/labels.csv", index=False)
    with pytest.raises(JudgingError, match="samples have no decision, more than"):
        sample.run("tiny", study)
    assert not SAMPLED.exists()


def test_a_table_of_another_grid_is_refused_with_the_stage_that_mends_it(study: Path) -> None:
    params = load_params(study)
    ids = read_table(Path("data/prompts/prompts.csv"), PROMPT_TABLE)["prompt_id"].tolist()
    with pytest.raises(ArtifactError, match=r"samples.csv: no such file"):
        cells_taken(params, "tiny", ids)
    sample.run("tiny", study)
    taken = cells_taken(params, "tiny", ids)
    assert taken is not None
    assert (len(taken), sum(taken)) == (N_PROMPTS * N_SAMPLES, stored())
    set_params(sampling={"seeds": [1, 2, 3]})
    with pytest.raises(ArtifactError, match="run `dvc repro sample@tiny-agreement`"):
        generate.run("tiny", study)


def test_plan_says_what_the_stage_would_refuse(study: Path) -> None:
    prompts = prompts_of(read_table(Path("data/prompts/prompts.csv"), PROMPT_TABLE))
    (check,) = rounds_check(load_params(study), prompts)
    assert check.good
    assert check.said == f"agreement, 10 of {N_PROMPTS} prompts audited"
    for settings, words in (
        ({"budget": 0.4}, "budget: 0.4 is not allowed; allowed: at least 0.7"),
        ({"predictions": "data/raw/nowhere.csv"}, "nowhere.csv"),
    ):
        set_params(sampling={"adaptive": {"population": settings}})
        (check,) = rounds_check(load_params(study), prompts)
        assert not check.good
        assert words in check.said
    set_params(sampling={"adaptive": {}})
    assert not list(rounds_check(load_params(study), prompts))


def test_a_model_or_a_rule_that_is_not_there_is_named(study: Path) -> None:
    with pytest.raises(ParamsError, match="no model 'other'"):
        sample.run("other", study)
    set_params(sampling={"adaptive": {"population": {"budget": 0.4}}})
    with pytest.raises(ParamsError, match=r"population\.budget: 0\.4 is not allowed; allowed: at least 0\.709"):
        sample.run("tiny", study)
    assert not STORE.exists() or stored() == 0
    set_params(sampling={"adaptive": {}})
    with pytest.raises(ParamsError, match=r"sampling\.adaptive: no rule"):
        sample.run("tiny", study)


def table_of(model: str) -> pd.DataFrame:
    return read_table(sampled_file(model), SAMPLED_TABLE).set_index("prompt_id")


def test_every_later_stage_takes_the_estimates(study: Path) -> None:
    set_params(sampling={"adaptive": {"population": {"batch": 4}}}, metrics={"n_resamples": 100})
    sample.run("tiny", study)
    generate.run("tiny", study)
    judge.run("tiny", study)
    metrics.run(study)
    model = metric_table("aggregate_by_model").iloc[0]
    assert model["estimated"]
    assert model["pct_flipped_low"] <= model["pct_flipped"] <= model["pct_flipped_high"]
    assert metric_table("adaptive")["n_samples"].tolist() == [stored()]
    figures.run(study)
    assert Path("reports/figures/adaptive_samples.png").is_file()
    report.run(study)
    page = Path("reports/report.md").read_text()
    assert "## Sampled in rounds" in page
    assert "Verdicts of audited prompts, beside their full grids." in page
    assert "the rule calls" in page
    assert "bootstrap" not in page.lower()
    assert f"{stored()} of {N_PROMPTS * N_SAMPLES}" in page
    assert re.search(r"tiny \\?\(estimated", page)
    tracked = read_tracked_study(load_params(study), study, lambda rows, name: b"")
    parent = next(plan for plan in run_plans(tracked) if plan.parent is None)
    assert parent.params["stopping_rule"] == "population"
    assert parent.metrics["adaptive/n_samples"] == stored()
    assert parent.tags["estimated"] == "true"
    prompts = prompts_of(read_table(Path("data/prompts/prompts.csv"), PROMPT_TABLE))
    (work,) = all_work(load_params(study), prompts)
    assert len(work.cells) == stored()
    (other,) = all_work(load_params(study), prompts[1:])
    assert len(other.cells) == (N_PROMPTS - 1) * N_SAMPLES
    assert "sampled in rounds by population" in in_rounds(load_params(study))
    verdicts = prompt_rows(load_params(study)).set_index("prompt_id")["verdict"]
    assert verdicts["p00"] == f"{table_of('tiny').loc['p00', 'verdict']}, {table_of('tiny').loc['p00', 'spent']}"
    with pytest.raises(StudyError, match="sampled in rounds"):
        parse_side("tiny").rows()
    # Tables of a study that was sampled otherwise are refused.
    table = read_table(sampled_file("tiny"), SAMPLED_TABLE)
    write_table(table.assign(taken=table["taken"].where(table["audited"], 1)), sampled_file("tiny"), SAMPLED_TABLE)
    with pytest.raises(ArtifactError, match=r"run `dvc repro generate@tiny`"):
        metrics.run(study)
