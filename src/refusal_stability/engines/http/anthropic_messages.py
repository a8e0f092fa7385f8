"""Anthropic's Messages: its own protocol, since its OpenAI-compatible one drops what a study measures.

That one ignores `seed` and `response_format`, silently lowers a temperature above 1 to 1, joins all system messages,
and reports no refusal. Messages has no seed either, but says so, rejects what it cannot do, and reports `refusal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refusal_stability.engines.http.chat_completions import JSON_WANTED
from refusal_stability.engines.http.said import Said, token_count
from refusal_stability.records import Message, Request

PATH = "/messages"


def auth_headers(key: str) -> dict[str, str]:
    """How a key is shown to the server."""
    return {"x-api-key": key}


def body(model: str, messages: Sequence[Message], request: Request, structured: str) -> dict[str, Any]:
    """The body of a request; JSON is asked for in words."""
    sampling = request.sampling
    system = [m.content for m in messages if m.role == "system"]
    turns = [{"role": m.role, "content": m.content} for m in messages if m.role != "system"]
    asked: dict[str, Any] = {"model": model, "messages": turns, "max_tokens": sampling.max_tokens}
    asked["temperature"] = sampling.temperature
    if system:
        asked["system"] = "\n\n".join(system)
    if sampling.top_p < 1:
        asked["top_p"] = sampling.top_p
    if sampling.top_k > 0:
        asked["top_k"] = sampling.top_k
    if request.schema is not None:
        turns[-1]["content"] += JSON_WANTED + str(request.schema_text())
    return asked


def read(answer: Any) -> Said:
    """What the server said; raises KeyError, TypeError or AttributeError where it is no message."""
    parts = answer["content"]
    if parts is None and answer["stop_reason"]:
        parts = []
    elif isinstance(parts, str):
        parts = [{"text": parts}]
    usage = answer["usage"] if isinstance(answer.get("usage"), dict) else {}
    kinds = [part.get("type", "text") for part in parts]
    text = [part["text"] for part, kind in zip(parts, kinds, strict=True) if kind == "text"]
    thinking = [part["thinking"] for part, kind in zip(parts, kinds, strict=True) if kind == "thinking"]
    return Said(
        text="".join(text) if text else None,
        thinking="\n".join(thinking),
        refusal="",
        reason=answer.get("stop_reason"),
        filtered=False,
        thought_unseen="redacted_thinking" in kinds,
        prompt_tokens=token_count(usage.get("input_tokens")),
        completion_tokens=token_count(usage.get("output_tokens")),
        details={"model": answer.get("model"), "usage": usage},
    )


def blocked(answer: Any) -> bool:
    """Messages has no answer of this kind: a block is an error or a stop reason."""
    return False
