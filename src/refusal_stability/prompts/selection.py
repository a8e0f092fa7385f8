"""From all prompts of a source to those that the study asks: merge repeats, filter, shuffle, balance, cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from refusal_stability.prompts.identity import SEPARATOR, UNCATEGORISED, categories_of
from refusal_stability.prompts.rows import PromptSourceError
from refusal_stability.records import Prompt, content_hash


def merge_repeats(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Each text once, where it first stood, with every category that any of its rows names."""
    first: dict[str, Prompt] = {}
    named: dict[str, dict[str, None]] = {}
    for prompt in prompts:
        first.setdefault(prompt.text, prompt)
        named.setdefault(prompt.text, {}).update(dict.fromkeys(categories_of(prompt)))
    return [replace(prompt, category=_joined(named[text])) for text, prompt in first.items()]


def _joined(categories: Iterable[str]) -> str:
    return SEPARATOR.join(sorted(c for c in categories if c != UNCATEGORISED)) or UNCATEGORISED


def in_categories(prompts: Sequence[Prompt], wanted: Sequence[str]) -> list[Prompt]:
    """The prompts with at least one of the wanted categories; a category that no prompt has is an error."""
    there = {c for prompt in prompts for c in categories_of(prompt)}
    for category in wanted:
        if category not in there:
            raise PromptSourceError(
                f"prompts.categories: {category!r} is not among the categories of the source; "
                f"there are {'; '.join(sorted(there))}"
            )
    return [p for p in prompts if not set(wanted).isdisjoint(categories_of(p))]


def shuffled(prompts: Iterable[Prompt], seed: int) -> list[Prompt]:
    """Prompts in the order of a hash of (seed, text).

    No random generator whose stream another version may change; and a prompt added to the source leaves the order of
    the others as it was.
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
