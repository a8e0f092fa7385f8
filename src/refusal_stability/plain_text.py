"""Text of others on a terminal or in a message: visible, on one line, and without power over the terminal."""

from __future__ import annotations

import unicodedata

# Controls, invisible format characters (zero width, text direction), line separators, and halves of characters.
UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


def visible_line(text: str) -> str:
    """The text on one line, in which every character that is not seen is spelt out; a line end becomes a space."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if mark in "\n\r\t" else _seen(mark) for mark in text.strip())


def _seen(mark: str) -> str:
    if mark.isprintable() or unicodedata.category(mark) not in UNSEEN:
        return mark
    return f"\\x{ord(mark):02x}" if ord(mark) < 256 else f"\\u{ord(mark):04x}"


def visible(text: str) -> str:
    """Text word for word, with control and direction characters spelt out so that none takes effect on a page."""
    if text.isprintable():
        return text
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else f"\\u{{{ord(c):x}}}"
        for c in text
    )
