"""A judge model's instructions: how the exchange is shown to it, and how its answer is read."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from refusal_stability.readout import Readout
from refusal_stability.records import Decision, Message, StudyError

PLACE = "{{EXCHANGE}}"
PLACES = re.compile(r"\{\{(REQUEST|RESPONSE)\}\}")
CONVERSATION = "conversation"


class RubricError(StudyError):
    """A rubric that cannot be used: names it, what is wrong, and the remedy."""


@dataclass(frozen=True)
class AnswerReader:
    """Reads a decision from a judge's answer by a pattern and a map.

    Attributes
    ----------
    pattern : its groups hold the answer.
    labels : (a value for each group, the decision). `*` fits any value; the first entry that fits decides.
    """

    pattern: re.Pattern[str]
    labels: tuple[tuple[tuple[str, ...], Decision], ...]

    @property
    def readout(self) -> Readout:
        """What asks for the probabilities of the decisions."""
        return Readout(self.pattern.pattern, tuple((values, decision.value) for values, decision in self.labels))

    def decisions(self, text: str) -> list[Decision | None]:
        """The decision of every place where the pattern occurs; None where the map has no entry for it."""
        return [self._decision(match.groups(default="")) for match in self.pattern.finditer(text)]

    def _decision(self, groups: tuple[str, ...]) -> Decision | None:
        values = [" ".join(group.split()).casefold() for group in groups]
        for wanted, decision in self.labels:
            if all(want in ("*", value) for want, value in zip(wanted, values, strict=True)):
                return decision
        return None


@dataclass(frozen=True)
class Rubric:
    """A judge model's instructions.

    Attributes
    ----------
    name : the built-in name, or the file's.
    text : the instructions, or a preset's template.
    reader : how a preset's answer is read; None for a JSON verdict.
    source : the preset's file as it is written; empty for a text.
    """

    name: str
    text: str
    reader: AnswerReader | None = None
    source: str = ""

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the file's text; identifies the version."""
        return hashlib.sha256((self.source or self.text).encode("utf-8")).hexdigest()


def judge_messages(rubric: Rubric, request: str, response: str) -> tuple[Message, ...]:
    """The conversation that asks a judge model about one exchange.

    Without a preset, the exchange is one JSON object on a line of its own. JSON escapes every quote and line break, so
    no response can end its string and pass for instructions. All is one user turn, because some chat templates have no
    system role. A preset's template holds the two texts as they are, as its model was trained.
    """
    if rubric.reader is not None:
        if rubric.text == CONVERSATION:
            return (Message("user", request), Message("assistant", response))
        texts = {"REQUEST": request, "RESPONSE": response}
        return (Message("user", PLACES.sub(lambda place: texts[place[1]], rubric.text)),)
    exchange = json.dumps({"request": request, "response": response}, ensure_ascii=False)
    before, _, after = rubric.text.partition(PLACE)
    parts = (before.strip(), exchange, after.strip())
    return (Message("user", "\n".join(part for part in parts if part)),)
