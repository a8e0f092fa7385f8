"""Degenerate text: what a broken model or server writes, and no judge can decide on."""

from __future__ import annotations

import re

FEW_WORDS = 12
MANY_WORDS = 40
LONGEST_WORD = 200
FEW_SENTENCES = 2
MANY_SENTENCES = 12
SENTENCE_ENDS = re.compile(r"[.!?\n。]")
LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def degenerate(text: str) -> str:
    """Why a text is degenerate: without words, or the same few words or letters over and over; empty if it is not.

    Parameters
    ----------
    text : a final answer, word for word.
    """
    return "no words" if not LETTER_OR_DIGIT.search(text) else looping(text)


def looping(text: str) -> str:
    """Why a text counts as a loop; empty if it does not."""
    words = text.split(maxsplit=MANY_WORDS)
    looped = len(words) > MANY_WORDS and len(set(words[:MANY_WORDS])) <= FEW_WORDS
    if looped and len(set(text.split())) <= FEW_WORDS:
        return "the same few words over and over"
    if len(words) == 1 and len(text) > LONGEST_WORD and len(set(text)) <= FEW_WORDS:
        return "the same few letters over and over"
    sentences = [part for part in map(str.strip, SENTENCE_ENDS.split(text)) if part]
    if len(sentences) >= MANY_SENTENCES and len(set(sentences)) <= FEW_SENTENCES:
        return "the same few sentences over and over"
    return ""
