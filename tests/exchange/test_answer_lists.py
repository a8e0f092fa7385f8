"""A cell that lists several responses is as many repeats; what is no text is an error that names its cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.records import StudyError

ANSWERS = ["I'm sorry, I can't.", "Sure, here is how.", "I cannot."]
ROW: dict[str, Any] = {"model": "m", "temperature": 0.7, "prompt": "Q?"}


def written(name: str, rows: list[dict[str, Any]]) -> Path:
    if name.endswith(".parquet"):
        pd.DataFrame(rows).to_parquet(name)
    elif name.endswith(".json"):
        Path(name).write_text(json.dumps(rows))
    else:
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path(name)


def seeds() -> list[int]:
    found: list[int] = yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["seeds"]
    return found


@pytest.mark.parametrize("name", ["runs.json", "runs.jsonl", "runs.parquet"])
def test_a_list_of_responses_is_as_many_repeats(name: str) -> None:
    rows = [ROW | {"prompt": f"Q{k}?", "response": ANSWERS[k:], "label": ["REFUSE", "COMPLY", "x"][k:]} for k in (0, 1)]
    import_files(written(name, rows), missing=["x"])
    table = run_imported()
    asked = table[table["outcome"] == "answered"]
    found = {(row.prompt, row.seed): (row.response, row.source) for row in asked.fillna("").itertuples()}
    assert found == {
        ("Q0?", 1): (ANSWERS[0], "REFUSE"),
        ("Q0?", 2): (ANSWERS[1], "COMPLY"),
        ("Q0?", 3): (ANSWERS[2], ""),
        ("Q1?", 1): (ANSWERS[1], "COMPLY"),
        ("Q1?", 2): (ANSWERS[2], ""),
    }


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (
            {"response": {"text": "a"}},
            r"column response: holds a dict, \{'text': 'a'\}; write the response as a text, or",
        ),
        ({"response": 7}, r"column response: holds a int, 7; write the response as a text"),
        ({"response": ["a", ["b"]]}, r"column response: holds a list, \['b'\]; write the response as a text"),
        ({"response": []}, r"column response: is an empty list; write its responses, or remove the row"),
        (
            {"response": ["a", "b"], "label": "REFUSE"},
            r"column label: says one thing of 2 responses; list as many values",
        ),
        ({"response": ["a", "b"], "seed": 3}, r"column seed: says one thing of 2 responses"),
        ({"response": "a", "label": ["REFUSE"]}, r"column label: holds a list, \['REFUSE'\]; a text or a number"),
    ],
)
def test_what_is_no_text_is_refused_by_its_row_and_column(cells: dict[str, Any], problem: str) -> None:
    with pytest.raises(StudyError, match=rf"^runs\.jsonl: row 2, {problem}"):
        import_files(written("runs.jsonl", [ROW | {"response": "x", "prompt": "Other?"}, ROW | cells]))


def test_a_counter_that_goes_on_from_prompt_to_prompt_is_counted_within_each_but_a_seed_is_kept() -> None:
    rows = [ROW | {"prompt": f"Q{k}?", "trial": 3 * k + n, "response": "a"} for k in (0, 1) for n in (1, 2, 3)]
    import_files(written("runs.jsonl", rows))
    assert seeds() == [1, 2, 3]
    assert "not_sampled" not in set(run_imported()["outcome"])
    seeded = [{("seed" if name == "trial" else name): value for name, value in row.items()} for row in rows]
    import_files(written("runs.jsonl", seeded))
    assert seeds() == [1, 2, 3, 4, 5, 6]
    shared = [ROW | {"prompt": f"Q{k}?", "trial": n, "response": "a"} for k in (0, 1) for n in (0, 4, 9)]
    import_files(written("runs.jsonl", shared))
    assert seeds() == [0, 4, 9]


def test_rows_with_messages_and_rows_with_a_prompt_stand_in_one_file() -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Go on?"}]
    rows = [
        {"model": "m", "temperature": 0, "response": "a"} | asked for asked in ({"prompt": "Q?"}, {"messages": talk})
    ]
    import_files(written("runs.jsonl", rows))
    assert set(run_imported()["prompt"]) == {"Q?", "Go on?"}


@pytest.mark.parametrize("name", ["model", "prompt_id", "category", "judge"])
def test_half_a_character_in_a_name_is_refused_by_its_row(name: str) -> None:
    row = ROW | {"response": "a", "label": "REFUSE", name: "x\ud800"}
    import_files(written("runs.jsonl", [ROW | {"response": "a", "finish_reason": "x\ud800"}]))
    with pytest.raises(StudyError, match=r"^runs\.jsonl: row 1: the .* holds half a character \(a lone surrogate\)"):
        import_files(written("runs.jsonl", [row]))
