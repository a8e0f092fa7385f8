"""Cells of plain tables that another program wrote in its own way: seeds, conversations as JSON, texts as repeats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from imported_study import import_files, run_imported
from test_tables import write

from refusal_stability.records import StudyError


def test_one_seed_for_all_rows_leaves_the_numbering_to_another_column(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"model": "m", "prompt": "Q?", "temperature": 0, "seed": 42, "trial": k, "response": "A."} for k in (1, 2, 3)
    ]
    import_files(write("runs.csv", rows))
    said = capsys.readouterr().out
    assert "runs.csv: column seed has one value in all rows, so trial numbers the repeats" in said
    assert "3 responses: 1 prompt, 1 model, temperature 0, 3 repeats" in said
    import_files(write("runs.csv", [row | {"seed": 40 + k} for k, row in enumerate(rows)]))
    assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["seeds"] == [40, 41, 42]


@pytest.mark.parametrize(("column", "wraps"), [("messages", "%s"), ("messages", '{"messages": %s}'), ("prompt", "%s")])
def test_a_conversation_as_json_is_read_wherever_it_stands(column: str, wraps: str) -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Q?"}]
    row = {"model": "m", "temperature": 1, "response": "A."}
    import_files(write("a.csv", [row | {column: wraps % json.dumps(turns)}, row | {column: json.dumps(turns[1:])}]))
    assert run_imported()["prompt"].tolist() == ["Q?", "Q?"]
    import_files(write("a.csv", [row | {"prompt": '{"key": 1} and [more]'}]))
    assert run_imported()["prompt"].tolist() == ['{"key": 1} and [more]']


def test_a_column_of_repeats_that_holds_texts_names_the_remedy() -> None:
    row = {"model": "m", "temperature": 1, "prompt": "Q?", "sample": "An answer."}
    with pytest.raises(StudyError, match=r"column sample: 'An answer\.' is no number of a repeat; .*response=sample"):
        import_files(write("a.csv", [row | {"label": "COMPLY"}]))


@pytest.mark.parametrize("agree", [True, False])
def test_annotators_are_judges_where_nothing_else_is_named(agree: bool, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"model": "m", "temperature": 1, "prompt": "Q?", "repeat": 1, "response": "An answer."}
    labels = {"Ann": "COMPLY", "Ben": "COMPLY" if agree else "PARTIAL"}
    import_files(write("a.csv", [row | {"label": label, "Annotator": name} for name, label in labels.items()]))
    said = capsys.readouterr().out
    assert all(f"judge {name}: '{label}' (1)" in said for name, label in labels.items())
    assert "1 response: 1 prompt" in said
