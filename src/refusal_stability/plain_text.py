"""Text of others on a terminal or in a message: visible, on one line, and without power over the terminal."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# Controls, invisible format characters (zero width, text direction), line separators, and halves of characters.
UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
# What a bar of another library writes: nothing but movements of the cursor, or a line over the one before.
MOVES = re.compile(r"(\x1b\[\d*[ABCDGK]|\r)*")


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


class VisibleStream:
    """A stream of text in which whatever a terminal would act on is spelt out: print() may be handed text of others.

    Rich writes escape sequences of its own on a terminal, and finds the stream itself: hand it visible texts.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.rich_proxied_file = stream if stream.isatty() else self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text; what is seen of it has other characters only where it had unseen ones."""
        moves = MOVES.match(text)
        start = moves.end() if moves is not None else 0
        shown = "".join(mark if mark in "\n\t" else _seen(mark) for mark in text[start:])
        self._stream.write(text[:start] + shown)
        return len(text)


@contextmanager
def visible_streams() -> Iterator[None]:
    """Within the block print() and tracebacks cannot steer a terminal."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(VisibleStream, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
