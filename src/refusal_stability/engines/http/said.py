"""From what a server said to a completion: the finish reason decides the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refusal_stability.engines.answers import BEFORE_LIMIT, ONLY_THINKING
from refusal_stability.engines.finish_reasons import Ending, ending_of
from refusal_stability.engines.http.errors import one_line
from refusal_stability.records import Completion, Outcome, outcome_of

# What the model or the filter has decided: the same request is not sent again. A lost answer may come when asked again.
SETTLED: Mapping[str, Any] = {"settled": True}
DECIDED = (Ending.LENGTH, Ending.TOOL)
MOST_TOKENS = 2**53
MOST_LETTERS = 1000
OWN_NAMES: Mapping[Ending | None, str] = {Ending.STOP: "stop", Ending.LENGTH: "length"}


class Fault(Exception):
    """A try that failed in a way that may pass: the request is tried again."""


class NotRead(Fault):
    """The server answered, and nobody can tell what."""


class AskedOnceMore(Exception):
    """A reply without an answer that a second try may bring; a third is not made.

    `structured` says how JSON is asked for then; None as before.
    """

    def __init__(self, reason: str, structured: str | None = None) -> None:
        super().__init__(reason)
        self.structured = structured


def token_count(said: Any) -> int:
    """A number of tokens; 0 where a server writes something else, which is no reason to lose an answer."""
    return int(said) if type(said) in (int, float) and 0 <= said < MOST_TOKENS else 0


def kept_of(said: Any, depth: int = 0) -> Any:
    """What is stored of a detail: a few levels of short values, whatever a server sends."""
    if isinstance(said, dict):
        return (
            {str(name)[:MOST_LETTERS]: kept_of(value, depth + 1) for name, value in said.items()} if depth < 5 else None
        )
    if isinstance(said, list):
        return [kept_of(value, depth + 1) for value in said[:100]] if depth < 5 else None
    return said[:MOST_LETTERS] if isinstance(said, str) else said


@dataclass(slots=True)
class Said:
    """An answer as a protocol reads it, before anybody asks what it means.

    Attributes
    ----------
    text : None where there is no content at all.
    thinking : what the server set apart.
    refusal : the structured refusal.
    reason : the finish reason, word for word.
    filtered : whether the server says beside it that its filter cut the answer.
    thought_unseen : whether tokens went into thinking that the server does not show.
    tokens : the tokens' log-probabilities, as the server lists them.
    """

    text: str | None
    thinking: str
    refusal: str
    reason: Any
    filtered: bool
    thought_unseen: bool
    prompt_tokens: int
    completion_tokens: int
    details: Mapping[str, Any]
    tokens: Any = None


def completion(said: Said, details: Mapping[str, Any]) -> Completion:
    """The completion of an answer; raises `Fault` or `AskedOnceMore` where there is none.

    The text is still raw: `engines.complete` sets thinking apart, for every engine alike.
    """
    ending = ending_of(said.reason)
    kept = {name: kept_of(value) for part in (said.details, details) for name, value in part.items() if value}
    text = said.text or ""

    def named() -> str:
        return one_line(str(said.reason)) if said.reason else "none"

    def made(text: str, finish_reason: str, outcome: Outcome | None = None, missing: str | None = None) -> Completion:
        became = outcome or outcome_of(finish_reason, missing)
        about = {**kept, **SETTLED} if missing and (became is Outcome.BLOCKED or ending in DECIDED) else kept
        tokens = said.prompt_tokens, said.completion_tokens
        return Completion(text, finish_reason, *tokens, missing, about, said.thinking, became)

    if ending is Ending.FAILED:
        raise Fault(f"the server ended the answer itself (finish reason: {named()})")
    if ending is Ending.GAVE_UP:
        raise AskedOnceMore(f"the server gave no answer (finish reason: {named()})")
    if said.refusal:
        return made(text or said.refusal, "stop", Outcome.REFUSED)
    if text and ending in (Ending.REFUSAL, Ending.FILTER):
        # A beginning that the provider took back.
        kept["taken_back"] = text
    if ending is Ending.REFUSAL:
        return made("", "refusal", Outcome.REFUSED)
    if ending is Ending.FILTER or (said.filtered and not text):
        name = "" if named() in ("content_filter", "none") else f" ({named()})"
        return made("", "", Outcome.BLOCKED, f"the server's content filter cut the answer{name}")
    if not text and ending is Ending.TOOL:
        return made("", "", Outcome.UNANSWERED, f"the model called a tool instead of answering ({named()})")
    if said.thought_unseen and not text.strip() and not said.thinking:
        limit = BEFORE_LIMIT if ending is Ending.LENGTH else ""
        return made("", "", Outcome.UNANSWERED, ONLY_THINKING + limit)
    if not text and (ending is None or (said.text is None and not said.thinking)):
        return made("", "", Outcome.UNANSWERED, f"the answer has no content (finish reason: {named()})")
    return made(text, OWN_NAMES.get(ending) or (named() if said.reason else "unknown"))


def is_unknown(said: Said) -> bool:
    """Whether nobody knows the finish reason of an answer that has a text."""
    return bool(said.text) and ending_of(said.reason) is None


def without_text(outcome: Outcome, reason: str, details: Mapping[str, Any] | None = None) -> Completion:
    """A completion that has no text.

    Parameters
    ----------
    outcome : what became of the request.
    reason : why there is no text.
    details : whether asking again may help; see `Completion`.
    """
    return Completion("", "", missing_reason=reason, details=details or {}, outcome=outcome)
