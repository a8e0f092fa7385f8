"""From a model's token probabilities to the probability of each choice that its answer could have stated.

Standard library only, as `records`, which names a `Readout` in a request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Protocol

ANY = "*"
# What a value of a group stands for that no choice names.
OTHER = "\0"
FLAGS = re.IGNORECASE | re.MULTILINE
LEADING = re.compile(r"\W+")
WORDS = re.compile(r"\w+")
SHARES = "choice_shares"


@dataclass(frozen=True)
class Readout:
    """Where an answer states its choice. A request that has one is answered with the choices' probabilities.

    Attributes
    ----------
    pattern : a regular expression, compared without regard to case; its groups are the answer.
    choices : (a value for each group, in lower case; the choice). `*` fits any; the first entry that fits decides.
    """

    pattern: str
    choices: tuple[tuple[tuple[str, ...], str], ...]

    def identity(self) -> dict[str, Any]:
        """Everything that decides which probabilities are kept, as JSON-able data."""
        return {"pattern": self.pattern, "choices": [[list(values), choice] for values, choice in self.choices]}

    def choice(self, values: Sequence[str]) -> str | None:
        """The choice that a value for each group means; None where there is none."""
        for wanted, choice in self.choices:
            if all(want in (ANY, value) for want, value in zip(wanted, values, strict=True)):
                return choice
        return None


class ListedTokens(Protocol):
    """The tokens of one answer, each with those that could have stood in its place.

    Attributes
    ----------
    text : what the tokens spell.
    """

    @property
    def text(self) -> str: ...

    def __len__(self) -> int: ...

    def start(self, token: int) -> int:
        """How many characters stand before a token."""
        ...

    def listed(self, token: int) -> Sequence[tuple[str, float]]:
        """(text, log-probability) of the token that was drawn, then of the other likely ones at its place."""
        ...


def choice_shares(tokens: ListedTokens, answer: str, readout: Readout) -> dict[str, float] | None:
    """The probability of each choice, given that the answer states one.

    Parameters
    ----------
    tokens : the answer's, those of its thinking included.
    answer : the final answer, as the judge reads it.
    readout : where it states its choice.

    Returns
    -------
    dict or None
        Choice -> probability; together they are at most 1. Each comes from the tokens that first tell the choices
        apart, given what was written before them. Tokens with which no answer could go on have no part in it: it makes
        no difference whether a schema had forbidden them. A choice without a listed token is left out. Probability that
        no listed token has counts against every choice, so a share may be too small, but not too large.
        None where the answer states no choice, or more than one, or its tokens are not found. The same choice stated
        twice counts as two: one may be a quotation.
    """
    start = tokens.text.rfind(answer)
    places = list(re.finditer(readout.pattern, answer, FLAGS))
    stated = {readout.choice([_plain(value) for value in place.groups(default="")]) for place in places}
    if start < 0 or len(places) != 1 or None in stated:
        return None
    reading = _Reading(tokens, readout, answer, places[0], start)
    own = stated.pop()
    assert own is not None
    shares = reading.shares(own)
    if shares is None:
        return None
    whole = sum(shares.values()) + reading.unlisted
    # The parts of a sum may be rounded to a little more than it.
    return {choice: min(share / whole, 1.0) for choice, share in shares.items()} if whole > 0 else None


class _Reading:
    """Goes through the tokens of the groups that a pattern found, up to the first that tells the choices apart.

    Attributes
    ----------
    unlisted : the probability that no listed token had on the way.
    """

    def __init__(self, tokens: ListedTokens, readout: Readout, answer: str, place: re.Match[str], start: int) -> None:
        self._tokens, self._readout, self._answer, self._place, self._start = tokens, readout, answer, place, start
        self._path = 1.0
        self.unlisted = 0.0

    def shares(self, own: str) -> dict[str, float] | None:
        """The probability that was seen of each choice; None where the tokens spell another answer than the text."""
        shares: dict[str, float] = {}
        for done in self._steps():
            for choice, probability in done.items():
                shares[choice] = shares.get(choice, 0.0) + probability
        if self._path:
            # The whole answer was written before its tokens told the choices apart.
            shares[own] = shares.get(own, 0.0) + self._path
        return shares if shares.get(own, 0.0) > 0 else None

    def _steps(self) -> Iterator[dict[str, float]]:
        """What each token adds; the path ends with the token that tells the choices apart."""
        values: tuple[str, ...] = ()
        for group in range(1, len(self._place.groups()) + 1):
            first, end = (self._start + position for position in self._place.span(group))
            token = self._first_token(first)
            while token < len(self._tokens) and self._tokens.start(token) < end:
                found, drawn = self._step(values, group, token, first)
                yield found
                if len(drawn) == 1:
                    self._path = 0.0
                    return
                token += 1
            values = (*values, _plain(self._place[group] or ""))

    def _step(
        self, values: tuple[str, ...], group: int, token: int, first: int
    ) -> tuple[dict[str, float], frozenset[str]]:
        begins, whole = self._tokens.start(token), self._tokens.text
        before, spelled = whole[begins:first], _begun(whole[first : max(begins, first)])
        found: dict[str, float] = {}
        drawn: frozenset[str] = frozenset()
        allowed, listed = 0.0, self._tokens.listed(token)
        chances = [math.exp(min(chance, 0.0)) for _, chance in listed]
        for position, ((text, _), chance) in enumerate(zip(listed, chances, strict=True)):
            after = text[len(before) :] if text.startswith(before) else text
            value = (spelled + after if spelled else _begun(after)).casefold()
            lead = "" if spelled else text[: len(text) - len(_begun(after))]
            if position and not self._may_stand(values, group, begins, lead, value):
                continue
            allowed += chance
            choices = _possible(self._readout, values, value)
            drawn = choices if position == 0 else drawn
            if len(choices) == 1:
                (choice,) = choices
                found[choice] = found.get(choice, 0.0) + chance
        # Where a schema forbids the other tokens, this is the share that the drawn one then has.
        scale = self._path / allowed if allowed else 0.0
        self.unlisted += scale * max(0.0, 1.0 - sum(chances))
        self._path = scale * chances[0]
        return {choice: scale * chance for choice, chance in found.items()}, drawn

    def _may_stand(self, values: tuple[str, ...], group: int, begins: int, lead: str, value: str) -> bool:
        """Whether the pattern takes an answer that goes on with a token: what leads to a value, and its beginning."""
        words = _words(self._readout, len(values), value)
        begun = WORDS.match(value)
        named = next((word for word in words if word != OTHER), begun[0] if begun and words else "")
        if not named:
            return False
        first, end = self._place.span(group)
        head = self._answer[: max(0, min(begins - self._start, first))]
        # A token may hold a part of what leads to the value, such as the space before a quotation mark.
        leads = (lead,) if value else (lead, lead + self._answer[len(head) : first])
        for middle in leads:
            place = re.search(self._readout.pattern, head + middle + named + self._answer[end:], FLAGS)
            if place is not None and _plain(place[group] or "") == _plain(named):
                return True
        return False

    def _first_token(self, character: int) -> int:
        """The first token that spells what leads to a value, such as its quotation mark: another may have had both."""
        begins = character
        while begins and not WORDS.match(self._tokens.text, begins - 1):
            begins -= 1
        last, first = self._token_at(character), self._token_at(begins)
        return min(last, first if self._tokens.start(first) >= begins else first + 1)

    def _token_at(self, character: int) -> int:
        """The token that spells a character."""
        low, high = 0, len(self._tokens)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._tokens.start(middle) <= character else (low, middle)
        return low


def _plain(value: str) -> str:
    """A value as a preset's map names it."""
    return " ".join(value.split()).casefold()


def _begun(text: str) -> str:
    """A text from its first letter or digit on: spaces, quotes and marks before a value make no difference."""
    found = LEADING.match(text)
    return text[found.end() :] if found else text


@lru_cache(maxsize=4096)
def _words(readout: Readout, group: int, value: str) -> tuple[str, ...]:
    """The values of a group (from 0) that a text may be, or be the beginning of."""
    named = dict.fromkeys(wanted[group] for wanted, _ in readout.choices)
    words = tuple(word for word in named if word != ANY and _may_become(value, _begun(word)))
    may_be_other = ANY in named and not any(_is_whole(value, _begun(word)) for word in words)
    return (*words, OTHER) if may_be_other else words


@lru_cache(maxsize=4096)
def _possible(readout: Readout, values: tuple[str, ...], value: str) -> frozenset[str]:
    """The choices that remain after the values of the first groups, and the beginning of the next one's."""
    after = [_words(readout, group, "") for group in range(len(values) + 1, len(readout.choices[0][0]))]
    answers = product(_words(readout, len(values), value), *after)
    found = {readout.choice([*values, *answer]) for answer in answers}
    return frozenset(choice for choice in found if choice is not None)


def _may_become(text: str, word: str) -> bool:
    return word.startswith(text) or _is_whole(text, word)


def _is_whole(text: str, word: str) -> bool:
    """Whether a text is a word, or a word and what follows it."""
    return text.startswith(word) and not WORDS.match(text[len(word) :])
