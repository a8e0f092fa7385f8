"""What any log says, as plain records: one response with the labels that its log gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from refusal_stability.records import NO_INTERVENTION, Outcome, Prompt, StudyError

NO_TEXT = "labels only: the source has no response"


class LogError(StudyError):
    """A log that cannot be imported: names the file and the place, what is wrong, and the remedy."""


@dataclass(frozen=True)
class LoggedLabel:
    """A judge's label in the source's own words; empty exactly where `missing_reason` says why there is none.

    `repeat` counts, from 0, how often the same judge was asked about the same response before.
    """

    label: str
    reasoning: str = ""
    missing_reason: str = ""
    confidence: float | None = None
    repeat: int = 0


@dataclass(frozen=True)
class LoggedResponse:
    """One response of a log.

    Attributes
    ----------
    place : the file and the row or sample, for messages.
    model : as the log names it.
    temperature : None where the log does not say.
    repeat : the number of this repeat; None where repeats are not numbered.
    counted : whether the reader counted the repeats itself, since the log does not number them.
    text : None where the source has labels only.
    finish_reason : in the source's words; empty where it does not say.
    labels : judge -> its label.
    order : the response's place among unnumbered repeats, such as an epoch.
    intervention : what preceded the prompt apart from its own turns; only this project's exports name one.
    unseeded : whether the log says that the server took no seed.
    """

    place: str
    model: str
    prompt: Prompt
    temperature: float | None
    repeat: int | None
    text: str | None
    finish_reason: str = ""
    missing_reason: str = ""
    outcome: Outcome | None = None
    thinking: str = ""
    labels: Mapping[str, LoggedLabel] = field(default_factory=dict)
    order: int = 0
    counted: bool = False
    intervention: str = NO_INTERVENTION
    unseeded: bool = False
