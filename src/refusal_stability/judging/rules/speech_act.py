"""Sentences that know their words, and patterns that try only the sentences that they can match."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from operator import or_
from typing import Any, ClassVar

from refusal_stability.judging.rules.anchors import FIGURES, PART, START, WHOLE, needs_of

WORD = re.compile(r"[a-z][a-z']*|[.:!?]")
LOOKS_AROUND = re.compile(r"\^|\$|\(\?<?[=!]")
LETTERS = re.compile(r"[a-z]+")
AROUND_WORDS = '.,;:!?"()[]'
TOKENS_KEPT = 1 << 16
LONGEST_KEPT = 40
SENTENCES_KEPT = 1 << 12
LONGEST_SENTENCE_KEPT = 300


class Vocabulary(dict[str, int]):
    """What each token between blanks says of the speech acts. Found once per token.

    Every act has some bits: its needs, and one that is set where the token alone shows the act.
    """

    def __init__(self) -> None:
        self._bits = 0
        self._anchors: dict[str, dict[str, int]] = {WHOLE: {}, START: {}, PART: {}, FIGURES: {}}
        self._longest = 0
        self._alone: list[tuple[int, int, re.Pattern[str]]] = []

    def bits(self, pattern: re.Pattern[str]) -> tuple[int, int]:
        """A pattern's bits: those of its needs, and the one of a token that alone shows it."""
        needed, alone = self.needed(pattern.pattern), self._bit()
        # Within a sentence, a pattern that looks around may see more than the token.
        if not LOOKS_AROUND.search(pattern.pattern):
            self._alone.append((needed, alone, pattern))
        return needed, alone

    def needed(self, source: str) -> int:
        """The bits of what a text must have that a pattern matches."""
        needed = 0
        for anchors in needs_of(source):
            bit = self._bit()
            needed |= bit
            for kind, letters in anchors:
                self._anchors[kind][letters] = self._anchors[kind].get(letters, 0) | bit
                self._longest = max(self._longest, len(letters))
        self.clear()
        return needed

    def _bit(self) -> int:
        self._bits += 1
        return 1 << self._bits

    def __missing__(self, token: str) -> int:
        bare = token.strip(AROUND_WORDS)
        # What follows a word changes no need; which act the token alone shows is told without it.
        bits = self._bits_of(token) if bare == token else self[bare]
        if len(self) >= TOKENS_KEPT:
            self.clear()
        if len(token) <= LONGEST_KEPT:
            self[token] = bits
        return bits

    def _bits_of(self, token: str) -> int:
        bits = 0
        for piece in LETTERS.findall(token):
            bits |= self._anchors[WHOLE].get(piece, 0)
            for end in range(1, min(len(piece), self._longest) + 1):
                bits |= self._anchors[START].get(piece[:end], 0)
        for kind in (PART, FIGURES):
            for letters, some in self._anchors[kind].items():
                if letters in token:
                    bits |= some
        for needed, alone, pattern in self._alone if bits else ():
            if bits & needed == needed and pattern.search(token):
                bits |= alone
        return bits


class Sentence(str):
    """A lower-case text that knows its words.

    Attributes
    ----------
    words : its words, and the marks that end sentences.
    bits : what its words say of the speech acts; see `Vocabulary`.
    tried, found : the acts that were looked for in it, and those that it shows; a bit each.
    """

    __slots__ = ("bits", "found", "tried", "words")
    vocabulary: ClassVar = Vocabulary()
    words: list[str]
    bits: int
    tried: int
    found: int

    def __getattr__(self, name: str) -> Any:
        # Found at the first use.
        if name == "bits":
            self.tried = self.found = 0
            self.bits = reduce(or_, map(self.vocabulary.__getitem__, self.split()), 0)
            return self.bits
        if name == "words":
            self.words = WORD.findall(self)
            return self.words
        raise AttributeError(name)


def sentence(text: str) -> Sentence:
    """A text as a sentence; kept where it is short, because seeds and temperatures often share it."""
    return _kept(text) if len(text) <= LONGEST_SENTENCE_KEPT else Sentence(text)


_kept = lru_cache(SENTENCES_KEPT)(Sentence)


def joined(sentences: Sequence[Sentence], limit: int | None = None) -> Sentence:
    """Sentences as lines of one text of at most `limit` characters."""
    text = "\n".join(sentences)
    if limit is not None and len(text) > limit:
        return Sentence(text[:limit])
    whole = Sentence(text)
    whole.bits, whole.tried, whole.found = bits_of(sentences), 0, 0
    return whole


def bits_of(sentences: Iterable[Sentence]) -> int:
    """What the words of all sentences say of the speech acts."""
    bits = 0
    for each in sentences:
        bits |= each.bits
    return bits


class SpeechAct:
    """A pattern of something that a speaker does in a sentence: any of its parts."""

    def __init__(self, source: str, parts: Sequence[str] = ()) -> None:
        self.pattern = re.compile(source)
        vocabulary = Sentence.vocabulary
        self._needed, self._alone = vocabulary.bits(self.pattern)
        self._parts = [(vocabulary.needed(part), re.compile(part)) for part in parts or (source,)]

    def shown(self, text: str) -> bool:
        """Whether the pattern is anywhere in the text."""
        if not isinstance(text, Sentence):
            return self.pattern.search(text) is not None
        bits = text.bits
        if bits & self._needed != self._needed:
            return False
        if bits & self._alone:
            return True
        # Rules and features ask the same of a sentence.
        if not text.tried & self._alone:
            text.tried |= self._alone
            if any(bits & needed == needed and pattern.search(text) for needed, pattern in self._parts):
                text.found |= self._alone
        return bool(text.found & self._alone)

    def search(self, text: str) -> re.Match[str] | None:
        """As `re.Pattern.search`."""
        return self.pattern.search(text) if self._may_be_in(text) else None

    def match(self, text: str) -> re.Match[str] | None:
        """As `re.Pattern.match`."""
        return self.pattern.match(text) if self._may_be_in(text) else None

    def begins_any(self, sentences: Sequence[Sentence], bits: int) -> bool:
        """Whether the pattern begins any of the sentences, whose bits together are `bits`."""
        return bits & self._needed == self._needed and any(map(self.pattern.match, sentences))

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """As `re.Pattern.finditer`."""
        return self.pattern.finditer(text) if self._may_be_in(text) else iter(())

    def _may_be_in(self, text: str) -> bool:
        return not isinstance(text, Sentence) or text.bits & self._needed == self._needed
