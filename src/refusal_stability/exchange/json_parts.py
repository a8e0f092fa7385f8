"""A large JSON file read in parts: the items of one list and the members on the way to it, never the whole file."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from refusal_stability.exchange.logged import LogError
from refusal_stability.files import json_fault

CHUNK = 2**20
# No member or item may be longer than this.
LARGEST = 64 * 2**20
SPACE = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder()
GOES_ON = ("", ".", "e", "E")
Place = tuple[str, ...]


def json_parts(path: Path, list_at: Place) -> Iterator[tuple[Place, Any]]:
    """Each item of the list at `list_at`, such as `("results", "results")`, and each other member on the way, whole.

    A part comes with the names that lead to it, in the order of the file.
    """
    with path.open("rb") as file:
        reader = _Reader(path, file)
        try:
            yield from reader.members((), list_at)
        except (ValueError, RecursionError) as error:
            raise LogError(f"{path}: not readable as JSON ({json_fault(error)}); copy it again") from error


class _Reader:
    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text, self._at, self._ended = "", 0, False

    def members(self, place: Place, list_at: Place) -> Iterator[tuple[Place, Any]]:
        """The parts of an object that lies on the way to the list."""
        self._take("{")
        if self._next() == "}":
            self._take("}")
            return
        while True:
            here = (*place, str(self._value()))
            self._take(":")
            if here == list_at and self._next() == "[":
                yield from ((here, item) for item in self._items())
            elif here == list_at[: len(here)] and self._next() == "{":
                yield from self.members(here, list_at)
            else:
                yield here, self._value()
            if self._take(",}") == "}":
                return

    def _items(self) -> Iterator[Any]:
        self._take("[")
        if self._next() == "]":
            self._take("]")
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return

    def _next(self) -> str:
        """The next character that is no space."""
        while True:
            found = SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                raise ValueError("the file ends too early")
            self._read(CHUNK)

    def _take(self, allowed: str) -> str:
        found = self._next()
        if found not in allowed:
            raise ValueError(f"{found!r} where {' or '.join(allowed)} is expected")
        self._at += 1
        return found

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
                # A number may go on where the text ends, also behind a dot or an e that nothing follows yet.
                if self._text[end : end + 1] not in GOES_ON or self._ended:
                    self._at = end
                    return value
            except ValueError:
                if self._ended:
                    raise
            length = len(self._text) - self._at
            if length > LARGEST:
                raise LogError(
                    f"{self._path}: holds a value of over {LARGEST // 2**20} MB, or is torn there; copy it again, or "
                    "remove that value"
                )
            self._read(max(CHUNK, length))

    def _read(self, size: int) -> None:
        content = self._file.read(size)
        self._ended = not content
        self._text = self._text[self._at :] + self._decode(content, self._ended)
        self._at = 0
