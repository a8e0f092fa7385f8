"""From all prompts of a source to those that the study asks: merge repeats, filter, shuffle, balance, cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from refusal_stability.prompts.identity import UNCATEGORISED, categories_of, category_names, joined_categories
from refusal_stability.prompts.source import PromptSourceError
from refusal_stability.records import Message, Prompt, content_hash


def merge_repeats(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Each conversation once, at its first place, with the categories of all its rows in alphabetical order."""
    rows: dict[tuple[Message, ...], list[Prompt]] = {}
    for prompt in prompts:
        rows.setdefault(prompt.conversation, []).append(prompt)
    return [same[0] if len(same) == 1 else replace(same[0], category=_all_categories(same)) for same in rows.values()]


def _all_categories(prompts: Iterable[Prompt]) -> str:
    return joined_categories(sorted({c for prompt in prompts for c in categories_of(prompt)} - {UNCATEGORISED}))


def in_categories(prompts: Sequence[Prompt], wanted: Sequence[str]) -> list[Prompt]:
    """The prompts with at least one of the wanted categories; a category that no prompt has is an error."""
    there = {c for prompt in prompts for c in categories_of(prompt)}
    names = category_names(wanted)
    for category in names:
        if category not in there:
            raise PromptSourceError(
                f"prompts.categories: {category!r} is not among the categories of the source; "
                f"there are {'; '.join(sorted(there))}"
            )
    return [p for p in prompts if not set(names).isdisjoint(categories_of(p))]


def shuffled(prompts: Iterable[Prompt], seed: int) -> list[Prompt]:
    """Prompts in the order of a hash of (seed, text).

    No random generator is involved whose stream a later version could change. A prompt that is added to the source
    does not reorder the others.
    """
    return sorted(prompts, key=lambda prompt: content_hash([seed, prompt.text]))


def balanced(prompts: Iterable[Prompt], per_category: int) -> list[Prompt]:
    """In order, every prompt all of whose categories have fewer than `per_category` prompts so far."""
    taken: Counter[str] = Counter()
    chosen = []
    for prompt in prompts:
        categories = categories_of(prompt)
        if all(taken[c] < per_category for c in categories):
            taken.update(categories)
            chosen.append(prompt)
    return chosen
