"""Any table with named columns, and what is refused in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import prompt_id
from refusal_stability.prompts.load import load_prompts
from refusal_stability.records import Prompt, StudyError

ALL = {"prompt": "question", "category": "topic", "source": "origin", "id": "key"}


def load(path: Path, columns: dict[str, str]) -> list[Prompt]:
    return load_prompts(PromptParams(source="table", path=str(path), columns=columns))


def failure(path: Path, columns: dict[str, str]) -> str:
    with pytest.raises(StudyError) as caught:
        load(path, columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_named_columns_become_the_prompts_fields(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text('key,question,topic,origin\nq-1,"Is it, ""warm""?",weather,me\nq-2,Why?,,you\n', encoding="utf-8")
    assert load(path, ALL) == [
        Prompt("q-1", 'Is it, "warm"?', "weather", "me"),
        Prompt("q-2", "Why?", "uncategorised", "you"),
    ]


def test_only_the_prompt_column_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("question\nWhy?\n", encoding="utf-8")
    assert load(path, {"prompt": "question"}) == [Prompt(prompt_id("Why?"), "Why?", "uncategorised", "mine.tsv")]


def test_json_lines_may_number_their_ids_and_list_their_categories(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [{"question": "Why?", "topic": ["b", "a"], "key": 7}, {"question": "How?", "topic": None, "key": "8"}]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    assert load(path, {"prompt": "question", "category": "topic", "id": "key"}) == [
        Prompt("7", "Why?", "b|a", "mine.jsonl"),
        Prompt("8", "How?", "uncategorised", "mine.jsonl"),
    ]


@pytest.mark.parametrize(
    "category", ["violence | theft", " violence|theft ", "violence||theft", "violence |theft| theft"]
)
def test_spaces_around_the_bar_and_empty_names_do_not_count(tmp_path: Path, category: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"question,topic\nWhy?,{category}\n", encoding="utf-8")
    assert load(path, {"prompt": "question", "category": "topic"})[0].category == "violence|theft"


def test_one_column_may_serve_twice(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("key,question\na,Why?\n", encoding="utf-8")
    assert load(path, {"prompt": "question", "id": "key", "category": "key"}) == [Prompt("a", "Why?", "a", "mine.csv")]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("a,Why?\nb,How?\na,When?\n", "row 4, column key: the id 'a' is taken by row 2; ids are unique"),
        ("a,Why?\nb,Why?\n", "row 3, column question: the same prompt as in row 2; remove one of the two"),
        ('a,Why?\nb," \n"\n', "row 3, column question: the prompt is empty; write one or remove the row"),
        ("a,Why?\nb,\n", "row 3, column question: the prompt is empty; write one or remove the row"),
        (",Why?\n", "row 2, column key: '' is no id"),
        (" a,Why?\n", "row 2, column key: ' a' is no id"),
        ('"a\nb",Why?\n', "row 2, column key: 'a\\nb' is no id"),
        ("", "no prompt in it"),
    ],
)
def test_what_cannot_be_a_prompt_names_file_row_and_column(tmp_path: Path, rows: str, problem: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("key,question\n" + rows, encoding="utf-8")
    message = failure(path, {"prompt": "question", "id": "key"})
    assert message.startswith(f"{path}: ")
    assert problem in message


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("key,question\na,Why?\n", encoding="utf-8")
    message = failure(path, {"prompt": "question", "category": "topic"})
    assert "no column 'topic' (check prompts.columns); found key, question" in message


@pytest.mark.parametrize("value", [3, ["a", 3], {"a": True}])
def test_a_category_that_is_no_text_is_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"question": "Why?", "topic": value}) + "\n", encoding="utf-8")
    assert "row 1, column topic: holds" in failure(path, {"prompt": "question", "category": "topic"})
