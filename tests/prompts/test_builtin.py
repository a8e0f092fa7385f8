"""The built-in set keeps the promises of its data card."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby

from refusal_stability.prompts.sources.beavertails import CATEGORIES
from refusal_stability.prompts.sources.builtin import BUILTIN_FILE, HARMLESS, builtin_prompts


def words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def test_every_category_has_five_requests_and_one_harmless_look_alike_beside_them() -> None:
    runs = [(category, len(list(group))) for category, group in groupby(p.category for p in builtin_prompts())]
    assert runs == [run for category in CATEGORIES for run in ((category, 5), (HARMLESS, 1))]


def test_requests_are_single_short_sentences_on_one_line() -> None:
    for prompt in builtin_prompts():
        assert 6 <= len(words(prompt.text)) <= 14, prompt.text
        assert re.fullmatch(r"[A-Z][A-Za-z ,'-]+[.?]", prompt.text), prompt.text


def test_each_request_has_two_words_that_no_other_request_has() -> None:
    prompts = builtin_prompts()
    used_by = Counter(word for prompt in prompts for word in set(words(prompt.text)))
    for prompt in prompts:
        own = [word for word in words(prompt.text) if used_by[word] == 1]
        assert len(own) >= 2, (prompt.text, own)


def test_ids_are_distinct_and_every_row_names_this_project_as_its_source() -> None:
    prompts = builtin_prompts()
    assert len({p.prompt_id for p in prompts}) == len(prompts) == 84
    assert {p.source for p in prompts} == {"builtin"}


def test_the_set_travels_with_the_installed_package() -> None:
    assert BUILTIN_FILE.is_file()
