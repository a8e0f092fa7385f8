"""OpenAI's chat completions: a request as the body of a POST, and an answer read from the body that comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from refusal_stability.engines.http.said import Said
from refusal_stability.records import Message, Request

PATH = "/chat/completions"
# Fields that hold thinking, under the names of vLLM, DeepSeek, OpenRouter, Ollama and others.
THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "thoughts", "reasoning_text")
THINKING_PARTS = ("thinking", "reasoning", "reasoning_text", "thought", "summary_text")
JSON_WANTED = "\n\nAnswer with one JSON object and nothing else. It must satisfy this JSON schema:\n"


def auth_headers(key: str) -> dict[str, str]:
    """How a key is shown to the server."""
    return {"Authorization": f"Bearer {key}"}


def body(model: str, messages: Sequence[Message], request: Request, structured: str) -> dict[str, Any]:
    """The body of a request, each field under the name that OpenAI gives it.

    Nothing is left to the server's defaults, which may be the model's own.
    """
    sampling = request.sampling
    turns = [{"role": m.role, "content": m.content} for m in messages]
    asked: dict[str, Any] = {
        "model": model,
        "messages": turns,
        "temperature": sampling.temperature,
        "seed": sampling.stream,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "top_k": sampling.top_k,
    }
    if request.schema is not None:
        if structured == "json_schema":
            schema = {"name": "answer", "strict": True, "schema": dict(request.schema)}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        else:
            turns[-1]["content"] += JSON_WANTED + str(request.schema_text())
        if structured == "json_object":
            asked["response_format"] = {"type": "json_object"}
    return asked


def read(answer: Any) -> Said:
    """What the server said; raises KeyError, TypeError, IndexError or AttributeError where it is no completion."""
    choice = answer["choices"][0]
    message = choice.get("message") or {"content": choice["text"]}
    usage = answer.get("usage") or {}
    text, thinking, refusal = _parts(message.get("content"))
    fields = [found for name in THINKING_FIELDS if (found := message.get(name)) and isinstance(found, str)]
    if not fields and isinstance(said := message.get("reasoning_details"), list):
        fields = list(_texts(said, "text"))
    counted = usage.get("completion_tokens_details") or {}
    reason = choice.get("finish_reason")
    return Said(
        text=text,
        thinking="\n".join(dict.fromkeys((*fields, *thinking))) if fields or thinking else "",
        refusal=message.get("refusal") or refusal,
        reason=reason if reason is not None else choice.get("native_finish_reason"),
        filtered=_any_filtered(choice.get("content_filter_results")),
        thought_unseen=bool(counted.get("reasoning_tokens")),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        details={"model": answer.get("model"), "system_fingerprint": answer.get("system_fingerprint"), "usage": usage},
    )


def blocked(answer: Any) -> bool:
    """Whether an answer without choices says that a filter stopped the prompt (Azure, Gemini)."""
    if not isinstance(answer, dict) or answer.get("choices"):
        return False
    feedback = answer.get("promptFeedback") or answer.get("prompt_feedback") or {}
    return bool(feedback.get("blockReason") or feedback.get("block_reason")) or _any_filtered(
        answer.get("prompt_filter_results")
    )


def _parts(content: Any) -> tuple[str | None, list[str], str]:
    """(text, pieces of thinking, refusal) of a message's content: a text, or a list of parts."""
    if content is None or isinstance(content, str):
        return content, [], ""
    if not isinstance(content, list):
        raise TypeError("content is neither a text nor a list")
    text: list[str] = []
    thinking: list[str] = []
    refusal: list[str] = []
    for part in content:
        kind = "text" if isinstance(part, str) else str(part.get("type", "text"))
        place = thinking if kind in THINKING_PARTS else refusal if kind == "refusal" else text
        place.extend(_texts(part, kind))
    return "".join(text) if text or not content else None, thinking, "".join(refusal)


def _texts(part: Any, kind: str) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for inner in part:
            yield from _texts(inner, kind)
    elif isinstance(part, dict):
        for name in dict.fromkeys((kind, "text", "content", "summary")):
            if name in part:
                yield from _texts(part[name], kind)
                return


def _any_filtered(found: Any) -> bool:
    """Whether Azure's filter results name a category that was filtered."""
    if isinstance(found, dict):
        return found.get("filtered") is True or any(map(_any_filtered, found.values()))
    return isinstance(found, list) and any(map(_any_filtered, found))
