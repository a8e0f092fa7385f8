"""Prompt, generation and label tables: what they hold comes back, and tables of earlier versions are read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.files import ArtifactError
from refusal_stability.records import HARMS, Completion, Condition, Message, Outcome, Prompt
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import (
    GENERATION_TABLE,
    LABEL_TABLE,
    PROMPT_TABLE,
    generation_table,
    prompt_table,
    prompts_of,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
TURNS = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), TEXTS), max_size=3)


@given(TEXTS, TURNS, st.sampled_from(["", *HARMS]), TEXTS, TEXTS)
def test_a_prompt_table_gives_its_prompts_back(
    text: str, turns: list[Message], harm: str, language: str, intent: str
) -> None:
    messages = (*turns, Message("user", text)) if turns else ()
    prompt = Prompt("p", text, "c", "s", messages, harm, language, intent)
    assert prompts_of(prompt_table([prompt])) == [prompt]


@pytest.mark.parametrize("turns", ["nonsense", "[1]", '{"role": "user"}', '[{"role": "tool", "content": "x"}]'])
def test_turns_that_cannot_be_read_name_the_row(turns: str) -> None:
    table = prompt_table([Prompt("p", "Why?", "", ""), Prompt("q", "How?", "", "")]).assign(turns=["", turns])
    with pytest.raises(ArtifactError, match="row 3, column turns: not a JSON list of turns"):
        prompts_of(table)


def test_a_generation_table_holds_outcome_and_thinking(tmp_path: Path) -> None:
    prompts = prompt_table([Prompt("p", "Why?", "", ""), Prompt("q", "How?", "", "")])
    answers = [
        Completion("So.", "stop", thinking="Hm,\nso"),
        Completion("", "", missing_reason="filtered", outcome=Outcome.BLOCKED),
    ]
    table = generation_table(Condition("m", "none", 0.0, 1), prompts, answers)
    write_table(table, tmp_path / "g.csv", GENERATION_TABLE)
    found = read_table(tmp_path / "g.csv", GENERATION_TABLE)
    assert found["outcome"].tolist() == ["answered", "blocked"]
    assert found["thinking"].tolist() == ["Hm,\nso", ""]


def test_tables_of_earlier_versions_are_read_with_what_follows_from_them(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    pd.DataFrame({"prompt_id": ["p"], "prompt": ["Why?"], "category": [""], "source": [""]}).to_csv(path, index=False)
    assert prompts_of(read_table(path, PROMPT_TABLE)) == [Prompt("p", "Why?", "", "")]
    place = {"model": "m", "intervention": "none", "temperature": 0.0, "seed": 1}
    answers = {
        "prompt_id": ["p", "q", "r"],
        "prompt": "Why?",
        "response": ["a", "b", ""],
        "finish_reason": ["stop", "length", ""],
        "missing_reason": ["", "", "timed out"],
    }
    pd.DataFrame(answers | place).to_csv(path, index=False)
    found = read_table(path, GENERATION_TABLE)
    assert found["outcome"].tolist() == ["answered", "cut", "unanswered"]
    assert found["thinking"].tolist() == ["", "", ""]
    labels = {"prompt_id": ["p"], "judge": "j", "repeat": 0, "label": "REFUSE", "reasoning": "", "missing_reason": ""}
    pd.DataFrame(labels | place).to_csv(path, index=False)
    found = read_table(path, LABEL_TABLE)
    assert found["basis"].tolist() == ["judge"]
    assert found["confidence"].isna().all()
