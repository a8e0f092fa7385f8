"""What is copied under another name counts once, whatever its format; a run of its own is not taken for a copy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from imported_study import import_files

LOGS = Path(__file__).parent / "logs"
ROWS = [
    {
        "model": "m",
        "prompt": f"Q{i}?",
        "temperature": 0.7,
        "response": f"answer {i} {k}",
        "label": ("REFUSE", "COMPLY")[k],
    }
    for i in range(3)
    for k in range(2)
]


def seeds() -> list[int]:
    """The repeats of the imported study."""
    return list(yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["seeds"])


def test_a_table_that_is_copied_or_converted_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.DataFrame(ROWS)
    Path("in").mkdir()
    table.to_csv("in/a.csv", index=False)
    shutil.copy("in/a.csv", "in/b.csv")
    table.iloc[::-1].to_parquet("in/c.parquet")
    table.to_csv("in/d.csv.gz", index=False)
    import_files(Path("in"))
    said = capsys.readouterr().out
    assert "tables: 6 responses in 3 files" in said
    assert "b.csv: the same file as in/a.csv; taken once. If it is a run of its own, number the repeats" in said
    assert "c.parquet: says what in/a.csv says; taken once" in said
    assert "d.csv.gz: says what in/a.csv says; taken once" in said
    assert "judge source: 'COMPLY' (3), 'REFUSE' (3)" in said
    assert "say again" not in said
    assert seeds() == [1, 2]


def test_a_part_of_a_table_is_told_and_a_numbered_run_of_equal_answers_is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pd.DataFrame(ROWS).to_csv("all.csv", index=False)
    pd.DataFrame(ROWS[:3]).to_csv("part.csv", index=False)
    import_files(Path("all.csv"), Path("part.csv"))
    assert "part.csv: all its 3 responses stand in another file too, and count twice" in capsys.readouterr().out
    for k in (1, 2):
        rows = [{**row, "response": "No.", "temperature": 0, "repeat": k} for row in ROWS[::2]]
        pd.DataFrame(rows).to_csv(f"run{k}.csv", index=False)
    import_files(Path("run1.csv"), Path("run2.csv"))
    said = capsys.readouterr().out
    assert "taken once" not in said
    assert "another file" not in said
    assert seeds() == [1, 2]


def test_a_harness_log_that_is_copied_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(LOGS / "lm-eval", "logs/lm-eval")
    shutil.copytree(LOGS / "lm-eval", "logs/again")
    import_files(Path("logs"))
    said = capsys.readouterr().out
    assert "24 responses: 4 prompts, 1 model, temperatures 0, 1, 3 repeats" in said
    assert said.count("the same file as") == 4


def test_two_runs_of_equal_answers_are_two_runs_where_their_logs_tell_the_run() -> None:
    samples = next((LOGS / "lm-eval/toy-1").glob("samples_*"))
    results = samples.with_name(f"results_{samples.stem.rpartition('_')[2]}.json")
    for k in range(2):
        shutil.copy(samples, f"samples_refusals_run{k}.jsonl")
        Path(f"results_run{k}.json").write_text(json.dumps(json.loads(results.read_text()) | {"date": k}))
    import_files(*Path().glob("*_run*"))
    assert seeds() == [1, 2, 3, 4, 5, 6]
