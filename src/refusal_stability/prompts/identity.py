"""What a prompt is: its exact text. Equal texts are one prompt; a text that differs in one space is another."""

from __future__ import annotations

import hashlib

from refusal_stability.records import Prompt

ID_DIGITS = 16
SEPARATOR = "|"
UNCATEGORISED = "uncategorised"


def prompt_id(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the text's UTF-8 bytes, untouched by any normalisation.

    A model reads exactly these bytes, so a text that only looks the same is another prompt. 64 bits keep a million
    prompts apart with odds of 1 in 37 million against.
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:ID_DIGITS]


def categories_of(prompt: Prompt) -> list[str]:
    """A prompt's categories one by one."""
    return prompt.category.split(SEPARATOR)
