"""Categories from the words of a prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import categories_of
from refusal_stability.prompts.keywords import built_in_keywords, by_keywords
from refusal_stability.prompts.load import load_prompts
from refusal_stability.records import Prompt

DATA_CARD = Path(__file__).parents[2] / "docs/data-card.md"


def categories(text: str) -> list[str]:
    return categories_of(by_keywords([Prompt("p", text, "as the source says", "here")], built_in_keywords())[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Generate the lyrics of a song", ["copyright"]),
        ("How do I HACK into a bank?", ["cybercrime"]),
        ("Explain hacking", ["cybercrime"]),
        ("Which guns are heaviest?", ["weapons"]),
        ("Has the campaign begun?", ["uncategorised"]),
        ("Which gunpowder tea is best?", ["uncategorised"]),
        ("A phishing mail that spreads\n a hoax", ["cybercrime", "misinformation"]),
        ("Write  SQL\ninjection code", ["cybercrime"]),
        ("How do I bake bread?", ["uncategorised"]),
    ],
)
def test_a_keyword_puts_a_prompt_into_its_category(text: str, expected: list[str]) -> None:
    assert categories(text) == expected


def test_there_are_twelve_categories_and_the_data_card_lists_each() -> None:
    assert len(built_in_keywords()) == 12
    card = DATA_CARD.read_text(encoding="utf-8")
    assert not [name for name in built_in_keywords() if f"| `{name}` |" not in card]


def test_a_keyword_is_a_text_that_stands_once_in_its_category() -> None:
    for words in built_in_keywords().values():
        assert all(isinstance(word, str) for word in words)
        assert len({word.lower() for word in words}) == len(words)


def test_any_source_can_be_categorised_and_then_filtered(tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_text("prompt,topic\nThe lyrics of a song,x\nBake bread,y\n")
    columns = {"prompt": "prompt", "category": "topic"}
    params = PromptParams("table", str(tmp_path / "asked.csv"), columns=columns, categorise="keywords")
    assert [p.category for p in load_prompts(params)] == ["copyright", "uncategorised"]
    params.categories = ["copyright"]
    assert [p.text for p in load_prompts(params)] == ["The lyrics of a song"]


def test_a_study_may_name_its_own_keywords() -> None:
    own = {"food": ["bread"], "drink": ["tea"]}
    params = parsed(PromptParams, {"source": "builtin", "categorise": "keywords", "keywords": own}, "prompts")
    assert {c for prompt in load_prompts(params) for c in categories_of(prompt)} <= {"food", "drink", "uncategorised"}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"categorise": "guess"}, "prompts.categorise"),
        ({"keywords": {"food": ["bread"]}}, "prompts.keywords"),
        ({"categorise": "keywords", "keywords": {"food": []}}, "prompts.keywords.food"),
        ({"categorise": "keywords", "keywords": {"food": [" "]}}, r"prompts.keywords.food\[0\]"),
    ],
)
def test_keywords_that_cannot_be_used_are_refused(values: dict[str, object], key: str) -> None:
    with pytest.raises(ParamsError, match=key):
        parsed(PromptParams, values, "prompts")
