"""Requests and answers of OpenAI's endpoint /v1/responses, as its chat completions have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from refusal_stability.exchange.logged import LogError

# Of a request: what stands elsewhere than in the request itself.
ELSEWHERE = ("previous_response_id", "conversation", "prompt")
TEXTS = ("input_text", "output_text", "text")


def is_responses_request(url: str, body: Mapping[str, Any]) -> bool:
    """Whether a request of a batch is one of /v1/responses."""
    return url.rstrip("/").endswith("/responses") or (not url and "input" in body and "messages" not in body)


def chat_request(place: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The request with its instructions and its input as turns."""
    if elsewhere := [name for name in ELSEWHERE if body.get(name) is not None]:
        raise LogError(
            f"{place}: what was asked does not stand in the request but in {elsewhere[0]}; make it a table of prompts "
            "and responses"
        )
    asked = body.get("input")
    turns = (
        [{"role": "user", "content": asked}] if isinstance(asked, str) else [_turn(place, one) for one in asked or []]
    )
    system = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    settings = {name: value for name, value in body.items() if name not in ("input", "instructions")}
    return settings | {"messages": [*system, *turns]}


def _turn(place: str, item: Mapping[str, Any]) -> dict[str, Any]:
    content = item.get("content")
    parts = [{"type": TEXTS[0], "text": content}] if isinstance(content, str) else content or []
    kinds = {str(item.get("type", "message")): item, **{str(part.get("type")): part for part in parts}}
    if other := kinds.keys() - {"message", *TEXTS}:
        raise LogError(
            f"{place}: the input holds {min(other)}, which is no text; make it a table of prompts and responses"
        )
    return {"role": item.get("role"), "content": "".join(str(part["text"]) for part in parts)}


def chat_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer with its texts, its refusal and its reasoning as one choice."""
    status = str(body.get("status") or "completed")
    if status not in ("completed", "incomplete"):
        return {"error": body.get("error") or {"message": f"the response is {status}"}}
    reason = (body.get("incomplete_details") or {}).get("reason") if status == "incomplete" else "stop"
    items = [item for item in body["output"] if item.get("type") in ("message", "reasoning")]
    said = [part for item in items if item["type"] == "message" for part in item.get("content") or []]
    thought = [part for item in items if item["type"] == "reasoning" for part in _thoughts(item)]
    message = {
        "content": "".join(str(part.get("text") or "") for part in said),
        "refusal": "".join(str(part.get("refusal") or "") for part in said),
        "reasoning_content": "\n".join(str(part.get("text") or "") for part in thought),
    }
    return {"choices": [{"message": message, "finish_reason": reason or status}] if items else []}


def _thoughts(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from item.get("content") or item.get("summary") or []
