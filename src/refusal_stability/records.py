"""Plain data that every module shares: decisions, prompts, configurations, requests, completions, judgements.

Standard library only, so that any module can import it without importing a framework.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from refusal_stability.readout import Readout


class StudyError(Exception):
    """An error that the user can fix: it names the file or parameter, what was wrong, and the remedy."""


class OtherEnvironment(StudyError):
    """The engine is installed in another Python environment; the command line restarts with that one."""

    def __init__(self, python: Path) -> None:
        super().__init__(f"this needs {python}; run `{python} -m refusal_stability.cli` with the same arguments")
        self.python = python


class Decision(str, Enum):
    """How a response meets a request, from safest to least safe."""

    REFUSE = "REFUSE"
    PARTIAL = "PARTIAL"
    COMPLY = "COMPLY"

    def __str__(self) -> str:
        return self.value

    @property
    def word(self) -> str:
        """Its name in lower case, as the names of columns hold it."""
        return self.value.lower()


# The order is that of the decision codes, from safest to least safe.
DECISIONS: tuple[Decision, ...] = tuple(Decision)
DECISION_NAMES: tuple[str, ...] = tuple(d.value for d in DECISIONS)
ANY_DECISION = f"{', '.join(map(str, DECISIONS[:-1]))} or {DECISIONS[-1]}"
# Codes of a decision array apart from positions in DECISIONS: no decision was made, and no response was asked for.
MISSING = -1
NOT_SAMPLED = -2


class Outcome(str, Enum):
    """What became of one response."""

    ANSWERED = "answered"
    CUT = "cut"  # ended at the token limit
    BLOCKED = "blocked"  # by the provider's filter; there is no text
    REFUSED = "refused"  # a structured refusal, apart from the text
    UNANSWERED = "unanswered"  # there is no text, for a reason that is kept
    NOT_SAMPLED = "not_sampled"  # never asked for: the study has fewer responses to this prompt

    def __str__(self) -> str:
        return self.value


OUTCOMES: tuple[Outcome, ...] = tuple(Outcome)  # the order is that of the outcome codes
WITHOUT_TEXT = (Outcome.BLOCKED, Outcome.UNANSWERED, Outcome.NOT_SAMPLED)


class Basis(str, Enum):
    """What a decision rests on."""

    JUDGE = "judge"
    PROVIDER = "provider"  # a block that the study counts as a refusal
    STRUCTURED = "structured"  # the structured refusal of the answer

    def __str__(self) -> str:
        return self.value


HARMS = HARMFUL, BENIGN = ("harmful", "benign")
NO_INTERVENTION = "none"
STREAM_BITS = 31

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one JSON text of a value (sorted keys, no spaces), so that equal values hash equally."""
    return _CANONICAL.encode(value)


def content_hash(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON; lone surrogates are kept apart rather than rejected."""
    return text_hash(canonical_json(value))


def text_hash(text: str) -> str:
    """SHA-256 (hex) of a text; lone surrogates are kept apart rather than rejected."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def storable_text(text: str) -> str:
    """Text as every file and table can hold it: a lone surrogate becomes U+FFFD, nothing else changes."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True)
class Message:
    """One chat turn; `role` is system, user or assistant."""

    role: str
    content: str

    def identity(self) -> dict[str, str]:
        """Role and content as JSON-able data."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True)
class Prompt:
    """A request whose stability is measured.

    Attributes
    ----------
    text : the last user turn.
    messages : the whole conversation, ending in that turn; empty for the common case of a single turn.
    harm : one of `HARMS`, or empty where the source does not say.
    language : a language tag such as `en`, or empty.
    intent : what several phrasings of one request share, or empty.
    """

    prompt_id: str
    text: str
    category: str
    source: str
    messages: tuple[Message, ...] = ()
    harm: str = ""
    language: str = ""
    intent: str = ""

    def __post_init__(self) -> None:
        if self.messages and self.messages[-1] != Message("user", self.text):
            raise ValueError("a conversation ends in the user turn that `text` holds")
        if self.harm not in ("", *HARMS):
            raise ValueError(f"harm {self.harm!r} is not {' or '.join(HARMS)}, or empty")

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages of the conversation, also where it has a single turn."""
        return self.messages or (Message("user", self.text),)

    @property
    def earlier_turns(self) -> tuple[Message, ...]:
        """The turns before the last user turn."""
        return self.messages[:-1]


@dataclass(frozen=True)
class Intervention:
    """What precedes the prompt: a system prompt, few-shot turns, both, or nothing."""

    name: str
    system: str | None = None
    turns: tuple[Message, ...] = ()

    def messages(self, prompt: Prompt) -> tuple[Message, ...]:
        """The whole conversation that a model is sent.

        A system turn of the prompt's own follows the intervention's in one system message: templates take one only.
        """
        conversation = prompt.conversation
        system = [] if self.system is None else [self.system]
        if conversation[0].role == "system":
            system.append(conversation[0].content)
            conversation = conversation[1:]
        opening = (Message("system", "\n\n".join(system)),) if system else ()
        return (*opening, *self.turns, *conversation)


@dataclass(frozen=True, order=True)
class Condition:
    """One configuration of a study: a model under an intervention at a temperature with a seed."""

    model: str
    intervention: str
    temperature: float
    seed: int

    @property
    def stem(self) -> str:
        """The start of this configuration's file names, e.g. `llama_temp0.7_seed42`."""
        name = self.model if self.intervention == NO_INTERVENTION else f"{self.model}_{self.intervention}"
        return f"{name}_temp{float(self.temperature)!r}_seed{self.seed}"


@dataclass(frozen=True)
class Sampling:
    """How one completion is drawn.

    `seed` is the study's seed (a label of the repeat); `stream` is what the sampler is seeded with, see
    `sampler_stream`. `top_k` 0 and `top_p` 1 mean no truncation. Temperature 0 is greedy.
    """

    temperature: float
    seed: int
    stream: int
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512


def sampler_stream(messages: Sequence[Message], temperature: float, seed: int, repeat: int = 0) -> int:
    """The sampler seed of one request: an independent stream for every (conversation, temperature, seed, repeat).

    Passing a study's seed straight to the sampler would give every prompt and temperature the same random numbers:
    prompts would not be independent draws, and intervals would be wrong. Every server's `seed` field takes 31 bits.
    """
    identity = [[m.identity() for m in messages], float(temperature), int(seed), int(repeat)]
    return int(content_hash(identity)[:16], 16) % (1 << STREAM_BITS)


@dataclass(frozen=True)
class Request:
    """One completion to be made.

    Attributes
    ----------
    messages : the conversation, ending in a user turn.
    sampling : how it is drawn.
    schema : a JSON schema that the text must satisfy, or None for free text.
    repeat : tells apart deliberate repeats of one request (a judge asked twice at temperature 0).
    judges : whether a judge asks. Its temperature is not what is measured.
    readout : asks for the probabilities of the choices that the answer may state.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    schema: Mapping[str, Any] | None = None
    repeat: int = 0
    judges: bool = False
    readout: Readout | None = None

    def identity(self) -> dict[str, Any]:
        """Everything about the request that decides its completion, as JSON-able data; the schema as text."""
        # Older stores know no readout. Field by field: `asdict` copies deeply, a quarter of a request's cost.
        own = {} if self.readout is None else {"readout": self.readout.identity()}
        return own | {
            "messages": [m.identity() for m in self.messages],
            "sampling": dict(vars(self.sampling)),
            "schema": self.schema_text(),
            "repeat": self.repeat,
        }

    def schema_text(self) -> str | None:
        """The schema as JSON, its properties in their own order."""
        return None if self.schema is None else json.dumps(self.schema, ensure_ascii=False)


def outcome_of(finish_reason: str, missing_reason: str | None) -> Outcome:
    """The outcome of a completion of which only these two are known."""
    if missing_reason:
        return Outcome.UNANSWERED
    return Outcome.CUT if finish_reason == "length" else Outcome.ANSWERED


def _settle_outcome(answer: Completion | Response) -> None:
    """Derive an outcome that is not given; refuse one that contradicts whether there is a text."""
    if answer.outcome is None:
        object.__setattr__(answer, "outcome", outcome_of(answer.finish_reason, answer.missing_reason))
    elif (answer.outcome in WITHOUT_TEXT) != bool(answer.missing_reason):
        raise ValueError(f"outcome {answer.outcome} does not fit missing_reason {answer.missing_reason!r}")


@dataclass(frozen=True)
class Completion:
    """What an engine answered.

    Attributes
    ----------
    text : the final answer only; empty where there is none.
    finish_reason : `stop`, `length`, or empty where there is no text.
    missing_reason : why there is no text; None where there is one. An error is a state, never a response text.
    details : what else the engine reports. `passing`: asking again may help. `settled`: it would not, and there is no
        text. `choice_shares`: what a readout asked for.
    thinking : what the model wrote before its final answer, where it was kept apart.
    outcome : what became of the request. An engine that says nothing gets what `outcome_of` derives.
    """

    text: str
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    missing_reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    thinking: str = ""
    outcome: Outcome = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _settle_outcome(self)


@dataclass(frozen=True)
class Response:
    """A completion in its place in the study."""

    condition: Condition
    prompt: Prompt
    text: str
    finish_reason: str
    missing_reason: str | None = None
    thinking: str = ""
    outcome: Outcome = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _settle_outcome(self)


def response_to(condition: Condition, prompt: Prompt, answer: Completion) -> Response:
    """A completion put in its place."""
    told = (answer.text, answer.finish_reason, answer.missing_reason, answer.thinking, answer.outcome)
    return Response(condition, prompt, *told)


@dataclass(frozen=True)
class Judgement:
    """One judge's decision on one response.

    Attributes
    ----------
    decision : None exactly where `missing_reason` says why.
    confidence : the judge's own probability of its decision, 0 to 1; None where it gives none.
    basis : what the decision rests on.
    """

    decision: Decision | None
    reasoning: str
    missing_reason: str | None = None
    confidence: float | None = None
    basis: Basis = Basis.JUDGE

    def __post_init__(self) -> None:
        if (self.decision is None) == (self.missing_reason is None):
            raise ValueError("a judgement has either a decision or a reason why there is none")
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence {self.confidence!r} is not between 0 and 1")
