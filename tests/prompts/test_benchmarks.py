"""Each benchmark's parser, on small files in the format in which it is published (rows invented here)."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import prompt_id
from refusal_stability.prompts.load import load_prompts
from refusal_stability.prompts.sources.beavertails import CATEGORIES
from refusal_stability.records import Prompt, StudyError


def beaver(prompt: Any, *flags: str, is_safe: Any = None) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "response": "An invented answer, with a comma\nand a second line.",
        "category": {category: category in flags for category in CATEGORIES},
        "is_safe": not flags if is_safe is None else is_safe,
    }


def write_beavertails(path: Path, rows: list[dict[str, Any]]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes({".xz": lzma.compress, ".gz": gzip.compress, ".jsonl": bytes}[path.suffix](data))
    return path


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def load(source: str, path: Path, **options: Any) -> tuple[list[Prompt], list[str]]:
    told: list[str] = []
    return load_prompts(PromptParams(source=source, path=str(path), **options), told.append), told


def behaviour(text: str, category: str, context: str = "") -> dict[str, str]:
    return {
        "Behavior": text,
        "FunctionalCategory": "contextual" if context else "standard",
        "SemanticCategory": category,
        "Tags": "context, hash_check" if context else "",
        "ContextString": context,
        "BehaviorID": text.lower().replace(" ", "_"),
    }


@pytest.mark.parametrize("name", ["train.jsonl.xz", "train.jsonl.gz", "train.jsonl"])
def test_beavertails_keeps_unsafe_prompts_once_in_order_with_the_flags_of_all_their_rows(
    tmp_path: Path, name: str
) -> None:
    path = write_beavertails(
        tmp_path / name,
        [
            beaver("How do I scare a cat?"),
            beaver("How do I tease a dog?", "violence,aiding_and_abetting,incitement"),
            beaver("How do I scare a cat?", "animal_abuse"),
            beaver("How do I tease a dog?", "animal_abuse"),
            beaver("How do I tease a dog?"),
            beaver("How do I bake bread?"),
        ],
    )
    prompts, told = load("beavertails", path)
    assert [(p.text, p.category, p.source) for p in prompts] == [
        ("How do I tease a dog?", "animal_abuse|violence,aiding_and_abetting,incitement", "beavertails"),
        ("How do I scare a cat?", "animal_abuse", "beavertails"),
    ]
    assert [p.prompt_id for p in prompts] == [prompt_id(p.text) for p in prompts]
    assert {p.harm for p in prompts} == {"harmful"}
    assert told == ["1 repeated prompt left out"]


def test_beavertails_takes_the_first_876_unless_the_study_says_otherwise(tmp_path: Path) -> None:
    rows = [beaver(f"Request number {n}", "self_harm" if n % 2 else "animal_abuse") for n in range(900)]
    path = write_beavertails(tmp_path / "train.jsonl", rows)
    prompts, _ = load("beavertails", path)
    assert [p.text for p in prompts] == [f"Request number {n}" for n in range(876)]
    assert len(load("beavertails", path, limit=880)[0]) == 880
    assert len(load("beavertails", path, per_category=445)[0]) == 890
    assert len(load("beavertails", path, categories=["self_harm"])[0]) == 450


def test_an_unsafe_row_without_a_flag_is_uncategorised_and_an_empty_prompt_is_left_out(tmp_path: Path) -> None:
    rows = [beaver("Something", is_safe=False), beaver(" \n", "self_harm"), beaver("", "self_harm")]
    prompts, told = load("beavertails", write_beavertails(tmp_path / "train.jsonl", rows))
    assert [(p.text, p.category) for p in prompts] == [("Something", "uncategorised")]
    assert told == ["2 empty prompts left out"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (beaver("a", "self_harm", is_safe="no"), "column is_safe: holds 'no'; true or false is expected"),
        ({**beaver("a", is_safe=False), "category": ["self_harm"]}, "expected BeaverTails' 14 flags, found list"),
        ({**beaver("a", is_safe=False), "category": {"new": True}}, "expected BeaverTails' 14 flags, found new"),
        (beaver(None, "self_harm"), "column prompt: holds nothing (null); a text is expected"),
        ({"prompt": "a"}, "no column 'category'"),
    ],
)
def test_what_is_not_beavertails_names_its_row(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    path = write_beavertails(tmp_path / "train.jsonl", [beaver("fine", "self_harm"), row])
    with pytest.raises(StudyError) as caught:
        load("beavertails", path)
    assert f"{path}: row 2" in str(caught.value)
    assert problem in str(caught.value)


def test_advbench_asks_the_goal_and_drops_the_target(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "harmful_behaviors.csv",
        [
            {"goal": 'Write a "rude" note, please', "target": "Sure, here is a rude note"},
            {"goal": "Tell a fib", "target": "Sure, here is a fib"},
            {"goal": 'Write a "rude" note, please', "target": "Sure, here it is again"},
        ],
    )
    prompts, told = load("advbench", path)
    assert [(p.text, p.category, p.source, p.harm) for p in prompts] == [
        ('Write a "rude" note, please', "uncategorised", "advbench", "harmful"),
        ("Tell a fib", "uncategorised", "advbench", "harmful"),
    ]
    assert told == ["1 repeated prompt left out"]


def test_harmbench_keeps_the_semantic_category_and_puts_the_context_before_the_behaviour(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "harmbench_behaviors_text_all.csv",
        [
            behaviour("Write a rude note", "harassment_bullying"),
            behaviour("Sum up the letter", "misinformation_disinformation", "Dear friend,\nall is well."),
            behaviour("Sum up the letter", "misinformation_disinformation", "Dear aunt, all is lost."),
        ],
    )
    prompts, told = load("harmbench", path)
    assert [(p.text, p.category) for p in prompts] == [
        ("Write a rude note", "harassment_bullying"),
        ("Dear friend,\nall is well.\n\n---\n\nSum up the letter", "misinformation_disinformation"),
        ("Dear aunt, all is lost.\n\n---\n\nSum up the letter", "misinformation_disinformation"),
    ]
    assert {p.harm for p in prompts} == {"harmful"}
    assert told == []


@pytest.mark.parametrize(
    ("source", "column"), [("advbench", "goal"), ("harmbench", "Behavior"), ("beavertails", "prompt")]
)
def test_a_file_of_another_format_names_the_column_that_is_missing(tmp_path: Path, source: str, column: str) -> None:
    path = write_csv(tmp_path / "other.csv", [{"question": "a"}])
    with pytest.raises(StudyError, match=f"no column '{column}'.*found question"):
        load(source, path)


@pytest.mark.parametrize("rows", [[], [beaver("How do I bake bread?")], [beaver("", "self_harm")]])
def test_a_file_without_a_prompt_is_an_error(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(StudyError, match=r"no prompt in it; check that it is the file that prompts.source names"):
        load("beavertails", write_beavertails(tmp_path / "train.jsonl", rows))
