"""What must be in a sentence before a pattern can match it: some words, or beginnings or parts of words.

A pattern of dozens of alternatives takes microseconds to fail, and most patterns fail on most sentences. Knowing a
pattern's anchors, a sentence's words say at once which patterns are worth a try.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# A regular expression in pieces: groups' begins, sets, escapes, single characters, and the quantifier behind any.
QUANTIFIER = re.compile(r"(?:\?|\*|\+|\{\d*,?\d*\})\??")
PIECE = re.compile(
    r"(\((?:\?(?::|<?[=!]))?|\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|[^()])" + f"({QUANTIFIER.pattern})?", re.DOTALL
)
OPTIONAL = ("?", "*", "{0", "{,")
WHOLE, START, PART, FIGURES = "whole", "start", "part", "figures"


class Anchor(NamedTuple):
    """Letters of a match: a whole word, a word's start, a part of one, or letters with figures among them."""

    kind: str
    letters: str


# What a match needs: one anchor of each set.
Needs = list[frozenset[Anchor]]
MOST_NEEDS = 3


class _Reading:
    """What one alternative needs, as far as it has been read.

    `at_word` says whether the next letter begins a word.
    """

    def __init__(self, at_word: bool) -> None:
        self.at_word = at_word
        self.needs: Needs = []
        self._letters = ""
        self._from_word = at_word

    def letter(self, letter: str) -> None:
        if not self._letters:
            self._from_word = self.at_word
        self._letters += letter
        self.at_word = False

    def word_ends(self) -> None:
        self._found(ended=True)
        self.at_word = True

    def breaks(self, at_word: bool = False) -> None:
        """Anything may follow the letters read so far."""
        self._found(ended=False)
        self.at_word = at_word

    def without_last_letter(self) -> None:
        self._letters = self._letters[:-1]
        self.breaks()

    def _found(self, ended: bool) -> None:
        if self._letters:
            kind = FIGURES if not self._letters.isalpha() else PART
            if kind == PART and self._from_word:
                kind = WHOLE if ended else START
            self.needs.append(frozenset({Anchor(kind, self._letters)}))
        self._letters = ""


def _weight(anchors: Iterable[Anchor]) -> int:
    """How much the least telling anchor tells: its letters, and one more for a whole word."""
    return min(len(anchor.letters) + (anchor.kind == WHOLE) for anchor in anchors)


def needs_of(source: str) -> Needs:
    """Sets of anchors: every text that the pattern matches has one of each, the most telling set first.

    Parameters
    ----------
    source : a regular expression over lower-case text.

    Returns
    -------
    list
        At most `MOST_NEEDS` sets; none where nothing can be told.
    """
    needs, _, end = _alternatives(source, 0, False)
    assert end == len(source), f"{source[end:]!r} is left of {source!r}"
    return needs


def _alternatives(source: str, place: int, at_word: bool) -> tuple[Needs, bool, int]:
    """(needs, whether a word may begin behind it, the place behind its closing bracket)."""
    finished: list[_Reading] = []
    reading = _Reading(at_word)
    while place < len(source):
        piece = source[place]
        if piece in "|)":
            ends = reading.at_word
            reading.breaks(ends)
            finished.append(reading)
            reading = _Reading(at_word)
            place += 1
            if piece == ")":
                return _union(finished), all(each.at_word for each in finished), place
            continue
        found = PIECE.match(source, place)
        assert found is not None, f"{source[place:]!r} cannot be read"
        place = _read_group(source, found, reading) if found[1][0] == "(" else _read_piece(found, reading)
    ends = reading.at_word
    reading.breaks(ends)
    finished.append(reading)
    return _union(finished), all(each.at_word for each in finished), place


def _union(finished: list[_Reading]) -> Needs:
    """What each of the alternatives needs is needed by all together: one anchor of any of them."""
    ranked = [sorted(reading.needs, key=_weight, reverse=True) for reading in finished]
    if not all(ranked):
        return []
    most = min(MOST_NEEDS, max(map(len, ranked)))
    return [frozenset().union(*(needs[min(rank, len(needs) - 1)] for needs in ranked)) for rank in range(most)]


def _read_group(source: str, found: re.Match[str], reading: _Reading) -> int:
    at_word = reading.at_word
    reading.breaks(at_word)
    inner, ends_at_word, place = _alternatives(source, found.end(1), at_word)
    if found[1] not in ("(", "(?:"):
        return place  # looks ahead or behind, and takes no letter
    quantifier = QUANTIFIER.match(source, place)
    if quantifier is None:
        reading.needs += inner
        reading.at_word = ends_at_word
        return place
    if not quantifier[0].startswith(OPTIONAL):
        reading.needs += inner
        at_word = ends_at_word
    reading.at_word = at_word and ends_at_word
    return quantifier.end()


def _read_piece(found: re.Match[str], reading: _Reading) -> int:
    piece, quantifier = found[1], found[2] or ""
    if piece in (r"\b", "$"):
        reading.word_ends()
    elif piece == "^":
        reading.breaks(at_word=True)
    elif re.fullmatch(r"[a-z0-9]", piece):
        reading.letter(piece)
        if quantifier.startswith(OPTIONAL):
            reading.without_last_letter()
        elif quantifier:
            reading.breaks()
    elif re.fullmatch(r"[ ',;:!\"/-]|\\[sW.?*()\[\]/-]", piece) and not quantifier.startswith(OPTIONAL):
        reading.word_ends()
    else:
        reading.breaks()
    return found.end()
