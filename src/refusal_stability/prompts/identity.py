"""What identifies a prompt: its exact text. Two texts that differ in one space are two prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from refusal_stability.records import Prompt

ID_DIGITS = 16
SEPARATOR = "|"
UNCATEGORISED = "uncategorised"


def prompt_id(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the text's UTF-8 bytes, without any normalisation.

    A model reads exactly these bytes, so a text that only looks the same is another prompt. With 64 bits, the chance
    that a million prompts share an id anywhere is 1 in 37 million.
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:ID_DIGITS]


def categories_of(prompt: Prompt) -> list[str]:
    """A prompt's categories one by one."""
    return prompt.category.split(SEPARATOR)


def category_names(texts: Iterable[str]) -> list[str]:
    """The category names in texts that may join several with `|`, each once; spaces around a name do not count."""
    names = (name.strip() for text in texts for name in text.split(SEPARATOR))
    return list(dict.fromkeys(filter(None, names)))


def joined_categories(texts: Iterable[str]) -> str:
    """The category names in texts as one text, as `Prompt.category` holds them."""
    return SEPARATOR.join(category_names(texts)) or UNCATEGORISED
