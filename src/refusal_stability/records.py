"""Plain data that every other module speaks: decisions, prompts, conditions, requests, completions, judgements.

Standard library only, so that anything may import it and nothing here can drag a framework along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


class StudyError(Exception):
    """An error that a person can act on: names the file or parameter, what was wrong, and the remedy."""


class OtherEnvironment(StudyError):
    """What was asked for is installed for another Python: the command line starts over with that one."""

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


DECISIONS: tuple[Decision, ...] = (Decision.REFUSE, Decision.PARTIAL, Decision.COMPLY)
DECISION_NAMES: tuple[str, ...] = tuple(d.value for d in DECISIONS)

NO_INTERVENTION = "none"


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one JSON text of a value (sorted keys, no spaces), so that equal values hash equally."""
    return _CANONICAL.encode(value)


def content_hash(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON; lone surrogates are kept apart rather than rejected."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def storable_text(text: str) -> str:
    """Text as every file and table can hold it: a lone surrogate becomes U+FFFD, nothing else changes."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True)
class Prompt:
    """A request whose stability is measured."""

    prompt_id: str
    text: str
    category: str
    source: str


@dataclass(frozen=True)
class Message:
    """One chat turn; `role` is system, user or assistant."""

    role: str
    content: str

    def identity(self) -> dict[str, str]:
        """Role and content as JSON-able data."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True)
class Intervention:
    """What is put before the prompt: a system prompt, few-shot turns, both, or nothing."""

    name: str
    system: str | None = None
    turns: tuple[Message, ...] = ()

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """The whole conversation that a prompt is put in."""
        opening = (Message("system", self.system),) if self.system is not None else ()
        return (*opening, *self.turns, Message("user", prompt))


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


STREAM_BITS = 31


def sampler_stream(messages: Sequence[Message], temperature: float, seed: int, repeat: int = 0) -> int:
    """The sampler seed of one request: an independent stream for every (conversation, temperature, seed, repeat).

    Passing a study's seed straight to the sampler would give every prompt at seed 42 the same random numbers, and
    every temperature too: prompts would then not be independent draws, and intervals over prompts would be wrong.
    31 bits, because that is what every server's `seed` field takes.
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
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    schema: Mapping[str, Any] | None = None
    repeat: int = 0

    def identity(self) -> dict[str, Any]:
        """Everything about the request that decides its completion, as JSON-able data.

        The schema goes in as text: the order of its properties is the order in which they are written.
        """
        # Field by field: `asdict` copies deeply, at a quarter of what a request costs the HTTP engine.
        return {
            "messages": [m.identity() for m in self.messages],
            "sampling": dict(vars(self.sampling)),
            "schema": self.schema_text(),
            "repeat": self.repeat,
        }

    def schema_text(self) -> str | None:
        """The schema as JSON, its properties in their own order."""
        return None if self.schema is None else json.dumps(self.schema, ensure_ascii=False)


@dataclass(frozen=True)
class Completion:
    """What an engine answered.

    `finish_reason` is `stop` or `length`. `missing_reason` is None for an answer; otherwise it says why there is
    none, and `text` is empty: an error is a state, never a response text. `details["passing"]` is true where asking
    again may well help.
    """

    text: str
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    missing_reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Response:
    """A completion in its place in the study."""

    condition: Condition
    prompt: Prompt
    text: str
    finish_reason: str
    missing_reason: str | None = None


@dataclass(frozen=True)
class Judgement:
    """One judge's decision on one response; `decision` is None exactly when `missing_reason` says why."""

    decision: Decision | None
    reasoning: str
    missing_reason: str | None = None
    confidence: float | None = None
    basis: str = "judge"

    def __post_init__(self) -> None:
        if (self.decision is None) == (self.missing_reason is None):
            raise ValueError("a judgement has either a decision or a reason why there is none")
