"""Sentences that know their words, and patterns that try only the sentences that they can match."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from operator import or_
from typing import Any, ClassVar, NamedTuple

from refusal_stability.judging.rules.anchors import FIGURES, MOST_NEEDS, PART, START, WHOLE, Needs, needs_of

WORD = re.compile(r"[a-z][a-z']*|[.:!?]")
LOOKS_AROUND = re.compile(r"\^|\$|\(\?<?[=!]")
MARKS = ".:!?"
LETTERS = re.compile(r"[a-z]+")
AROUND_WORDS = '.,;:!?"()[]'
TOKENS_KEPT = 1 << 16
LONGEST_KEPT = 40
SENTENCES_KEPT = 1 << 12
LONGEST_SENTENCE_KEPT = 300


class _Part(NamedTuple):
    """One alternative of an act: a pattern of its own, and what a text must have before it can match."""

    act: SpeechAct
    needs: Needs
    pattern: re.Pattern[str]


class Vocabulary(dict[str, int]):
    """What each token between blanks says of the speech acts. Found once per token.

    A token's bits lie in layers as wide as there are parts. The first has a part's bit where the token meets the part's
    first need, the second where it meets the second, and so on. Behind them, each act has a bit that is set where the
    token alone shows the act. So the bits of a sentence's tokens together say which parts can match. Last come a bit
    for each of the words that are counted, and two more: for a token of two words, and of several.
    """

    def __init__(self) -> None:
        self.acts: list[SpeechAct] = []
        self.places: dict[str, int] = {}
        self._parts: list[_Part] = []
        self._same: dict[int, int] = {}
        self._laid_out = False

    def add(self, act: SpeechAct, parts: Sequence[str]) -> None:
        """Learn an act with its parts. All acts are added before a sentence is read."""
        assert not self._laid_out, "a sentence has been read"
        self.acts.append(act)
        self._parts += [_Part(act, needs_of(part), re.compile(part)) for part in parts]

    def count(self, words: Iterable[str]) -> None:
        """Learn words and marks that are to be counted, before a sentence is read."""
        assert not self._laid_out, "a sentence has been read"
        self.places = {word: place for place, word in enumerate(sorted({*self.places, *words}))}

    def _lay_out(self) -> None:
        self._laid_out = True
        width = self._width = len(self._parts)
        self._anchors: dict[str, dict[str, int]] = {WHOLE: {}, START: {}, PART: {}, FIGURES: {}}
        self._longest = 0
        # For each layer, the parts that have no such need.
        self._needless = [0] * MOST_NEEDS
        self.part_of: dict[int, tuple[int, re.Pattern[str]]] = {}
        for place, part in enumerate(self._parts):
            part.act.parts |= 1 << place
            self.part_of[1 << place] = part.act.bit, part.pattern
            for layer in range(MOST_NEEDS):
                if layer >= len(part.needs):
                    self._needless[layer] |= 1 << place
                    continue
                bit = 1 << (layer * width + place)
                for kind, letters in part.needs[layer]:
                    self._anchors[kind][letters] = self._anchors[kind].get(letters, 0) | bit
                    self._longest = max(self._longest, len(letters))
        self._alone_from = MOST_NEEDS * width
        self._words_from = self._alone_from + len(self.acts)
        self._all_acts = (1 << len(self.acts)) - 1
        self.two_words = 1 << len(self.places)
        self.several_words = self.two_words << 1
        # Within a sentence, a pattern that looks around may see more than the token.
        self._alone = [act for act in self.acts if not LOOKS_AROUND.search(act.pattern.pattern)]

    def parts_of(self, bits: int) -> int:
        """The parts of any act whose needs are met by tokens with these bits together."""
        if not self._laid_out:
            self._lay_out()
        met = (1 << self._width) - 1
        for layer, needless in enumerate(self._needless):
            met &= (bits >> (layer * self._width)) | needless
        return met

    def acts_alone(self, bits: int) -> int:
        """The acts that one of the tokens alone shows."""
        return (bits >> self._alone_from) & self._all_acts

    def words_of(self, bits: int) -> int:
        """The counted words, and the two bits behind them."""
        return bits >> self._words_from

    def __missing__(self, token: str) -> int:
        if not self._laid_out:
            self._lay_out()
        bare = token.strip(AROUND_WORDS)
        # What follows a word changes no need; which act the token alone shows is told without it.
        bits = self._bits_of(token) if bare == token else self[bare] | self._counted(token)
        if len(self) >= TOKENS_KEPT:
            self.clear()
            self._same.clear()
        # Many tokens share their bits: memory is slower than arithmetic.
        bits = self._same.setdefault(bits, bits)
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
        if able := self.parts_of(bits):
            alone = sum(act.bit for act in self._alone if act.parts & able and act.pattern.search(token))
            bits |= alone << self._alone_from
        return bits | self._counted(token)

    def _counted(self, token: str) -> int:
        pieces = WORD.findall(token)
        bits, words = 0, 0
        for piece in pieces:
            if piece in self.places:
                bits |= 1 << self.places[piece]
            words += piece not in MARKS
        if words > 1:
            bits |= self.two_words
        if words > 2 or len(pieces) > words + 1:
            bits |= self.several_words
        return bits << self._words_from

    def of_words(self, words: Iterable[str]) -> int:
        """The bits of words that are counted."""
        return sum({1 << self.places[word] for word in words if word in self.places})


class Sentence(str):
    """A lower-case text that knows its words.

    Attributes
    ----------
    bits, length : what its tokens between blanks say together, and how many there are; see `Vocabulary`.
    words : its words, and the marks that end sentences.
    able : the parts of acts that its words allow, a bit each; see `Vocabulary`.
    tried, found : the acts that were looked for in it, and those that it shows; a bit each.
    """

    __slots__ = ("able", "bits", "found", "length", "tried", "words")
    vocabulary: ClassVar = Vocabulary()
    bits: int
    length: int
    words: list[str]
    able: int
    tried: int
    found: int

    def __getattr__(self, name: str) -> Any:
        # Found at the first use.
        if name in ("able", "bits", "length", "tried", "found"):
            vocabulary = self.vocabulary
            tokens = self.split()
            self.length = len(tokens)
            self.bits = bits = reduce(or_, map(vocabulary.__getitem__, tokens), 0)
            self.able = vocabulary.parts_of(bits)
            self.tried = self.found = vocabulary.acts_alone(bits)
            return getattr(self, name)
        if name == "words":
            self.words = WORD.findall(self)
            return self.words
        raise AttributeError(name)

    def acts(self, wanted: int, parts: int) -> int:
        """Those of the wanted acts that the sentence shows; a bit each.

        Parameters
        ----------
        wanted, parts : the acts' bits, and those of their parts.
        """
        able, found, tried = self.able & parts, self.found, self.tried
        part_of = self.vocabulary.part_of
        while able:
            lowest = able & -able
            able ^= lowest
            act, pattern = part_of[lowest]
            if not act & (found | tried) and pattern.search(self):
                found |= act
        self.found = found
        self.tried = tried | wanted
        return found & wanted


def sentence(text: str) -> Sentence:
    """A text as a sentence; kept where it is short, because seeds and temperatures often share it."""
    return _kept(text) if len(text) <= LONGEST_SENTENCE_KEPT else Sentence(text)


_kept = lru_cache(SENTENCES_KEPT)(Sentence)


class SpeechAct:
    """A pattern of something that a speaker does in a sentence: any of its parts.

    Attributes
    ----------
    bit, parts : the act's own bit, and those of its parts; see `Vocabulary`.
    """

    def __init__(self, source: str, parts: Sequence[str] = ()) -> None:
        self.pattern = re.compile(source)
        self.sources = tuple(parts) or (source,)
        self.bit = 1 << len(Sentence.vocabulary.acts)
        self.parts = 0
        Sentence.vocabulary.add(self, self.sources)

    def inside(self) -> SpeechAct:
        """The act in a sentence that another one precedes: nothing begins a text there."""
        if "^" not in self.pattern.pattern:
            return self
        assert "[^" not in self.pattern.pattern
        source, *parts = (each.replace("^", "(?!)") for each in (self.pattern.pattern, *self.sources))
        return SpeechAct(source, parts)

    def shown(self, text: str) -> bool:
        """Whether the pattern is anywhere in the text."""
        if not isinstance(text, Sentence):
            return self.pattern.search(text) is not None
        able = text.able & self.parts
        if not able:
            return False
        bit = self.bit
        # Rules and features ask the same of a sentence.
        if not text.tried & bit:
            text.tried |= bit
            part_of = text.vocabulary.part_of
            while able:
                lowest = able & -able
                if part_of[lowest][1].search(text):
                    text.found |= bit
                    break
                able ^= lowest
        return bool(text.found & bit)

    def search(self, text: str) -> re.Match[str] | None:
        """As `re.Pattern.search`."""
        return self.pattern.search(text) if self._may_be_in(text) else None

    def match(self, text: str) -> re.Match[str] | None:
        """As `re.Pattern.match`."""
        return self.pattern.match(text) if self._may_be_in(text) else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """As `re.Pattern.finditer`."""
        return self.pattern.finditer(text) if self._may_be_in(text) else iter(())

    def _may_be_in(self, text: str) -> bool:
        return not isinstance(text, Sentence) or text.able & self.parts != 0
