"""What identifies a prompt: its exact text. Two texts that differ in one space are two prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from refusal_stability.records import Message, Prompt, content_hash

ID_DIGITS = 16
SEPARATOR = "|"
UNCATEGORISED = "uncategorised"


def prompt_id(text: str, earlier_turns: Sequence[Message] = ()) -> str:
    """The first 16 hexadecimal digits of a SHA-256 over what the model reads, without any normalisation.

    A single turn is hashed as the UTF-8 bytes of its text. A conversation is hashed as the JSON of all its turns.
    A text that only looks the same is another prompt. With 64 bits, the chance that a million prompts share an id
    anywhere is 1 in 37 million.
    """
    if earlier_turns:
        turns = (*earlier_turns, Message("user", text))
        return content_hash([turn.identity() for turn in turns])[:ID_DIGITS]
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
