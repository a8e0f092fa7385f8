"""What any log says, as plain records: one response with the labels that its log gives it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refusal_stability.params.checks import LARGEST
from refusal_stability.records import NO_INTERVENTION, Basis, Outcome, Prompt, StudyError, storable_text

NO_TEXT = "labels only: the source has no response"
# Of a temperature, as params.yaml takes it; beyond them is what a sum of floats leaves, as in 0.30000000000000004.
DIGITS = 6
FLOAT32 = 1e-7  # how closely such a number keeps 0.7
HOTTEST = 5  # the highest temperature that params.yaml takes


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
    basis: Basis = Basis.JUDGE


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
    counter : whether `repeat` counts responses by the log's own word, such as `trial`, and is no seed.
    sent_seed : whether `repeat` is the seed that was sent: two responses with one seed are two repeats.
    beside : what the record says beside all this, such as the id of its run; it tells equal files apart.
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
    counter: bool = False
    sent_seed: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict)


def checked_temperature(logged: LoggedResponse) -> float:
    """The temperature of a response as a study takes it; raises where the response has no sound place in a study."""
    if not logged.model.strip():
        raise LogError(f"{logged.place}: the log does not name the model; give it: --constant model=NAME")
    if logged.temperature is None:
        raise LogError(f"{logged.place}: the log does not say the temperature; give it: --temperature 0.7")
    if not 0 <= logged.temperature <= HOTTEST:
        raise LogError(
            f"{logged.place}: the temperature {logged.temperature:g} is not allowed; allowed: a number from 0 to "
            f"{HOTTEST}"
        )
    if logged.repeat is not None and not 0 <= logged.repeat <= LARGEST:
        raise LogError(f"{logged.place}: {logged.repeat} is no repeat; a whole number from 0 to 2^63 - 1 is expected")
    temperature = float(f"{logged.temperature:.{DIGITS}g}")
    if not math.isclose(
        temperature,
        logged.temperature,
        rel_tol=1e-7,  # as float32 keeps it
    ):
        raise LogError(f"{logged.place}: temperature {logged.temperature!r}; round it to {DIGITS} digits")
    return temperature


def check_words(logged: LoggedResponse) -> None:
    """Refuse names and confidences that no table of a study holds."""
    prompt = logged.prompt
    names = {"model": logged.model, "prompt": prompt.text, "prompt's id": prompt.prompt_id, "category": prompt.category}
    names |= {"prompt's source": prompt.source, "language": prompt.language, "intent": prompt.intent}
    for judge, label in logged.labels.items():
        sure = label.confidence
        if sure is not None and not (isinstance(sure, int | float) and 0 <= sure <= 1):
            raise LogError(
                f"{logged.place}: judge {judge!r} has the confidence {str(sure)[:20]!r}; it is a number from 0 to 1"
            )
        names[f"name of the judge {judge!r}"] = judge
    for what, text in names.items():
        if storable_text(text) != text:
            raise LogError(f"{logged.place}: the {what} holds half a character (a lone surrogate); correct the text")
