"""Categories of prompts from the words in them, for sources that name none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import yaml

from refusal_stability.prompts.identity import UNCATEGORISED, joined_categories
from refusal_stability.records import Prompt

BUILT_IN = Path(__file__).with_name("keyword_categories.yaml")
# A keyword stands for the word that it begins; one of up to four letters, for that word and its plain endings.
SHORT = 4
ENDINGS = "(?:s|ed|er|ers|ing)?"


@cache
def built_in_keywords() -> Mapping[str, Sequence[str]]:
    """The twelve categories of this project and their keywords."""
    read: dict[str, list[str]] = yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))
    return read


def by_keywords(prompts: Iterable[Prompt], keywords: Mapping[str, Sequence[str]]) -> list[Prompt]:
    """The prompts with every category of which a keyword occurs in their last user turn, in place of their source's."""
    patterns = {category: _pattern(words) for category, words in keywords.items()}
    categorised = []
    for prompt in prompts:
        found = [category for category, pattern in patterns.items() if pattern.search(prompt.text)]
        categorised.append(replace(prompt, category=joined_categories(found) if found else UNCATEGORISED))
    return categorised


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_one, words)), re.IGNORECASE)


def _one(keyword: str) -> str:
    text = r"\s+".join(map(re.escape, keyword.split()))
    return rf"\b{text}{ENDINGS}\b" if len(keyword) <= SHORT else rf"\b{text}"
