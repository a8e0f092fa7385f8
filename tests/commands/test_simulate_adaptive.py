"""simulate-adaptive: what it reads, prints and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from refusal_stability.cli import app
from refusal_stability.measures.coverage import PRIOR, simulate
from refusal_stability.records import StudyError

NAMES = np.array(["no", "some", "yes", "?"])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 60 prompts with names of its own for columns and labels; one row has no decision."""
    codes = simulate(PRIOR, 60, 3, np.random.default_rng(0))
    codes[0, 0, 0] = 3
    rows = [
        {"prompt_id": f"p{p}", "temperature": t / 2, "trial": s, "label": NAMES[codes[p, t, s]], "model": "m"}
        for p, t, s in np.ndindex(*codes.shape)
    ]
    path = tmp_path_factory.mktemp("pilot") / "pilot.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


OPTIONS = ["--column", "seed=trial", "--missing", "?", "--runs", "1"]
LABELS = ["--label", "no=REFUSE", "--label", "some=PARTIAL", "--label", "yes=COMPLY"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["simulate-adaptive", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_prints_what_each_rule_finds_and_reports(table: Path) -> None:
    output = run(str(table), *OPTIONS, *LABELS, "--rule", "population", "--rule", "full")
    assert "m: 60 prompts x 4 temperatures x 3 seeds" in output
    (full,) = [line.split() for line in output.splitlines() if line.startswith("full ")]
    assert full[1:7] == ["100.0", "100.0", "100.0", "100.0", "0.0", "0.0"]
    assert sum(line.startswith("pct_flipped ") for line in output.splitlines()) == 2
    assert "population: figures of the full study, and as estimated" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rule", "guess"], "--rule: ['guess'] is not allowed; allowed: one of population"),
        (["--alpha", "0.7"], "--alpha: 0.7 is not allowed"),
        (["--threshold", "0.4"], "--threshold: 0.4 is not allowed; allowed: a number over 0.5"),
        (["--column", "seed"], "--column 'seed' is not allowed"),
        (["--rule", "each_prompt", "--order", "hottest_first"], "--order: hottest_first is not allowed; allowed: what"),
        (["--rule", "population", "--order", "random"], "allowed: what population needs: turns"),
        (
            ["--column", "seed=trial", "--missing", "?", *LABELS, "--budget", "0.05"],
            "--budget: 0.05 is not allowed; allowed: at least 0.4",
        ),
        ([], "no column seed; found prompt_id, temperature, trial, label, model; name them with --column"),
        (["--column", "seed=trial"], "is not REFUSE, PARTIAL or COMPLY; say what it means with --label"),
        (["--column", "seed=temperature", *LABELS, "--missing", "?"], "a second label of prompt 'p0'"),
        (["--column", "seed=trial", "--column", "temperature=label"], "temperature '?' is not a number"),
    ],
)
def test_what_it_cannot_use_is_named_with_a_remedy(table: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(StudyError) as caught:
        CliRunner().invoke(app, ["simulate-adaptive", str(table), *arguments], catch_exceptions=False)
    assert words in str(caught.value)


def test_a_table_without_rows_and_one_without_decisions(table: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("prompt_id,seed,label\n")
    with pytest.raises(StudyError, match=r"empty\.csv: holds no labelled response"):
        run(str(tmp_path / "empty.csv"))
    pd.read_csv(table).assign(label="?").to_csv(tmp_path / "missing.csv", index=False)
    output = run(str(tmp_path / "missing.csv"), *OPTIONS, "--rule", "population")
    assert "nan" not in output
    (row,) = [line.split() for line in output.splitlines() if line.startswith("population ")]
    assert row[1:3] == ["100.0", "0.0"]


def test_one_temperature_is_sampled_by_its_seeds(table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame["trial"] += 3 * (2 * frame.pop("temperature")).astype(int)
    frame.to_csv(tmp_path / "one.csv", index=False)
    output = run(str(tmp_path / "one.csv"), *OPTIONS, *LABELS, "--rule", "population")
    assert "m: 60 prompts x 1 temperatures x 12 seeds" in output
    assert "mean_difference" not in output
    (row,) = [line.split() for line in output.splitlines() if line.startswith("population ")]
    assert float(row[1]) < 100


def test_a_folder_is_read_as_one_study_and_one_sample_is_refused(table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    for temperature, rows in frame.groupby("temperature"):
        rows.to_csv(tmp_path / f"t{temperature}.csv", index=False)
    together = run(str(tmp_path), *OPTIONS, *LABELS, "--rule", "agreement")
    assert together == run(str(table), *OPTIONS, *LABELS, "--rule", "agreement")
    for file in list(tmp_path.iterdir()):
        file.unlink()
    with pytest.raises(StudyError, match="holds no table"):
        run(str(tmp_path), *OPTIONS)
    frame[(frame["temperature"] == 0.5) & (frame["trial"] == 0)].to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(StudyError, match="one sample per prompt"):
        run(str(tmp_path / "one.csv"), *OPTIONS, *LABELS)
