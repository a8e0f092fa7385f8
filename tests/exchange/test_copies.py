"""What is copied under another name counts once, whatever its format; a run of its own is not taken for a copy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from imported_study import import_files

from refusal_stability.exchange.logged import LogError

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
    assert said.count("the same file as") == 2


def test_two_runs_of_equal_answers_are_two_runs_where_their_logs_tell_the_run() -> None:
    samples = next((LOGS / "lm-eval/toy-1").glob("samples_*"))
    results = samples.with_name(f"results_{samples.stem.rpartition('_')[2]}.json")
    for k in range(2):
        shutil.copy(samples, f"samples_refusals_run{k}.jsonl")
        Path(f"results_run{k}.json").write_text(json.dumps(json.loads(results.read_text()) | {"date": k}))
    import_files(*Path().glob("*_run*"))
    assert seeds() == [1, 2, 3, 4, 5, 6]


def written(name: str, rows: list[dict[str, object]]) -> Path:
    """A table of these rows."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(name, index=False)
    return Path(name)


def test_runs_of_equal_answers_are_runs_where_a_column_or_a_number_in_the_name_tells_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = [{**row, "temperature": 0, "response": "No."} for row in ROWS[::2]]
    by_name = [written(f"runs/{k}/out.csv", answers) for k in range(3)]
    import_files(*by_name)
    told = (
        "out.csv: the same file as runs/0/out.csv; counts as a run of its own, since a number in its name differs. If"
    )
    assert told in capsys.readouterr().out
    assert seeds() == [1, 2, 3]
    for column in ("run_id", "created"):
        import_files(*[written(f"{name}.csv", [row | {column: f"{name}7"} for row in answers]) for name in "ab"])
        told = f"b.csv: says what a.csv says; counts as a run of its own, since its column {column} differs. If it is a"
        assert told in capsys.readouterr().out
        assert seeds() == [1, 2]
    # A copy of a copy, a download under another number, and equal times in two formats are copies.
    rows = [row | {"created": "2026-01-02 03:04:05", "ms": 7.0} for row in answers]
    table = written("runs.csv", rows)
    pd.DataFrame(rows).assign(created=pd.Timestamp("2026-01-02 03:04:05"), ms=7).to_parquet("other.parquet")
    shutil.copy(table, "runs (1).csv")
    shutil.copy(table, "runs (2).csv")
    import_files(*Path().glob("runs*.csv"), Path("other.parquet"))
    assert capsys.readouterr().out.count("taken once") == 3
    assert seeds() == [1]


def test_runs_that_each_number_their_trials_from_one_are_runs(capsys: pytest.CaptureFixture[str]) -> None:
    trials = [row | {"trial": 1 + k % 2} for k, row in enumerate(ROWS)]
    others = [row | {"response": f"another {k}"} for k, row in enumerate(trials)]
    import_files(written("cold.csv", trials), written("hot.csv", others))
    told = "hot.csv: numbers its repeats as cold.csv does, but its answers differ: a run of its own"
    assert told in capsys.readouterr().out
    assert seeds() == [1, 2, 3, 4]
    for names, option, found in (("12", None, 4), ("ab", "runs", 4), ("ab", None, 2), ("12", "once", 2)):
        import_files(*[written(f"run{name}.csv", trials) for name in names], equal_files=option)
        said = capsys.readouterr().out
        assert seeds() == list(range(1, found + 1))
        assert ("counts as a run of its own" in said, "say again" in said) == (found == 4, False)
    import_files(*[written(f"{name}.csv", [row | {"run_id": name} for row in trials]) for name in "ab"])
    assert "b.csv: says what a.csv says; a run of its own, since its column run_id differs" in capsys.readouterr().out
    assert seeds() == [1, 2, 3, 4]
    # Further labels of the same responses join them, whatever the files are called.
    import_files(*[written(f"run{judge}.csv", [row | {"judge": judge} for row in trials]) for judge in "12"])
    assert seeds() == [1, 2]


def test_a_table_that_another_holds_with_labels_is_taken_once(capsys: pytest.CaptureFixture[str]) -> None:
    raw = written("raw.csv", [{name: value for name, value in row.items() if name != "label"} for row in ROWS])
    import_files(raw, written("zjudged.csv", ROWS))
    said = capsys.readouterr().out
    assert "raw.csv: says what zjudged.csv says; taken once. If" in said
    assert "judge source: 'COMPLY' (3), 'REFUSE' (3)" in said
    assert seeds() == [1, 2]
    import_files(written("a.csv", ROWS), written("b.csv", [row | {"label": "REFUSE"} for row in ROWS]))
    assert "b.csv: says what a.csv says; counts as a run of its own, since its labels differ" in capsys.readouterr().out
    assert seeds() == [1, 2, 3, 4]
    numbered = [row | {"repeat": k % 2, "judge": "a"} for k, row in enumerate(ROWS)]
    import_files(written("a.csv", numbered), written("b.csv", [row | {"judge": "b"} for row in numbered]))
    assert "says what" not in capsys.readouterr().out
    assert seeds() == [0, 1]


def test_the_command_says_what_equal_files_are(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = written("a.csv", ROWS), written("b.csv", ROWS)
    import_files(one, two, equal_files="runs")
    assert "b.csv: the same file as a.csv; counts as a run of its own, since --equal-files" in capsys.readouterr().out
    assert seeds() == [1, 2, 3, 4]
    import_files(written("run1.csv", ROWS), written("run2.csv", ROWS), equal_files="once")
    said = capsys.readouterr().out
    assert "run2.csv: the same file as run1.csv; taken once. If it is a run of its own" in said
    assert "add --equal-files runs" in said
    assert seeds() == [1, 2]
    with pytest.raises(LogError, match=r"--equal-files 'no' is not allowed; allowed: once, runs"):
        import_files(one, two, equal_files="no")


def test_a_log_of_lm_eval_without_its_results_tells_its_run_by_the_time_in_its_name() -> None:
    samples = next((LOGS / "lm-eval/toy-1").glob("samples_*"))
    for k in (1, 2):
        shutil.copy(samples, f"samples_refusals_2026-01-0{k}T10-00-00.000000.jsonl")
    import_files(*Path().glob("samples_*"), constants=["model=m"])
    assert seeds() == [1, 2, 3, 4, 5, 6]
