"""What a model answered, apart from what promptfoo puts beside it: thinking, a filter's message, calls of tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refusal_stability.exchange.log_prompt import answer_text

FILTERED = "Content filtered by provider"  # promptfoo's own words for an answer that it did not get
BLOCKED = "content_filter"
TOOL_CALLS = "tool_calls"
# Thinking that promptfoo (`showThinking`, on by default) writes before the answer: with a signature its end is known.
SIGNED = re.compile(r"Thinking: (.*?)\n+Signature: \S*(?:\n\n|\Z)", re.DOTALL)
REDACTED = re.compile(r"Redacted Thinking: \S*(?:\n\n|\Z)")
BEGINS = ("Thinking: ", "Redacted Thinking: ")
ONLY_CALLS = "the answer has no content (finish reason: tool_calls)"
UNKNOWN_END = "the thinking before the answer has no end that can be told; run promptfoo with showThinking: false"


@dataclass(frozen=True)
class LoggedAnswer:
    """What a result says of the answer; `missing_reason` where it cannot be told."""

    text: str
    finish_reason: str
    thinking: str = ""
    missing_reason: str = ""

    @property
    def is_blocked(self) -> bool:
        """Whether a filter of the provider answered, and not the model."""
        return self.finish_reason == BLOCKED


def answer_of(response: Mapping[str, Any]) -> LoggedAnswer:
    """The answer of a result's `response`."""
    finish = str(response.get("finishReason") or "")
    output, guardrails = response.get("output"), response.get("guardrails")
    guardrails = guardrails if isinstance(guardrails, dict) else {}
    if guardrails.get("flaggedInput") or guardrails.get("flaggedOutput"):
        # The text is the provider's.
        return LoggedAnswer("", BLOCKED)
    if finish == BLOCKED:
        return LoggedAnswer("" if output == FILTERED else answer_text(output), BLOCKED)
    if response.get("isRefusal"):
        finish = "refusal"
    if finish == TOOL_CALLS or _is_calls(output):
        text = _beside_calls(output)
        return LoggedAnswer(text, TOOL_CALLS, missing_reason="" if text.strip() else ONLY_CALLS)
    thinking = _reasoning(response.get("reasoning"))
    text = answer_text(output)
    if thinking and text.startswith(start := f"{BEGINS[0]}{thinking}\n\n"):
        return LoggedAnswer(text[len(start) :], finish, thinking)
    return _without_thinking(text, finish, thinking)


def _without_thinking(text: str, finish: str, thinking: str) -> LoggedAnswer:
    """The answer behind the thinking that stands in the text itself."""
    thoughts = [thinking] if thinking else []
    while text.startswith(BEGINS):
        found = SIGNED.match(text) or REDACTED.match(text)
        if found is None:
            thought, _, rest = text.partition("\n\n")
            if not rest or "\n\n" in rest:
                return LoggedAnswer("", finish, missing_reason=UNKNOWN_END)
            return LoggedAnswer(rest, finish, "\n".join([*thoughts, thought.removeprefix(BEGINS[0])]))
        thoughts += [found[1]] if found.re is SIGNED else []
        text = text[found.end() :]
    return LoggedAnswer(text, finish, "\n".join(thoughts))


def _reasoning(parts: Any) -> str:
    """The thinking that newer results list beside the output."""
    listed = parts if isinstance(parts, list) else [parts]
    texts = [
        str(part.get("thinking") or part.get("text") or part.get("content") or "") if isinstance(part, dict) else part
        for part in listed
    ]
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _is_calls(output: Any) -> bool:
    """Whether an output lists calls of tools, or is a message that makes some."""
    if isinstance(output, dict):
        return bool(output.get("tool_calls")) and "role" in output
    return (
        isinstance(output, list) and bool(output) and all(isinstance(one, dict) and "function" in one for one in output)
    )


def _beside_calls(output: Any) -> str:
    """The text that stands beside calls of tools."""
    if isinstance(output, dict):
        return answer_text(output.get("content"))
    return output if isinstance(output, str) else ""
