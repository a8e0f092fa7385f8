"""OpenAI's chat completions: a request as the body of a POST, and an answer read from the body that comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from refusal_stability.engines.finish_reasons import Ending, ending_of
from refusal_stability.engines.http.said import Said, token_count
from refusal_stability.engines.listed_tokens import ALTERNATIVES
from refusal_stability.records import Message, Request

PATH = "/chat/completions"
# Fields that hold thinking, under the names of vLLM, DeepSeek, OpenRouter, Ollama and others.
THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "thoughts", "reasoning_text")
# The same again in pieces: read where the fields above are empty.
THINKING_LISTS = ("reasoning_details", "thinking_blocks")
THINKING_WORDS = ("think", "thought", "reason", "summary_text")
FINISH_FIELDS = ("finish_reason", "native_finish_reason", "finishReason", "stop_reason", "done_reason")
PLAIN_FIELDS = frozenset({"role", "content", "refusal", "annotations", "audio", "tool_calls", "function_call"})
# What a gateway may call `stop` although its provider said otherwise.
MORE_THAN_STOP = (Ending.FILTER, Ending.REFUSAL, Ending.LENGTH, Ending.FAILED)
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
    if request.readout is not None:
        asked |= {"logprobs": True, "top_logprobs": ALTERNATIVES}
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
    reason = _reason(choice)
    message = choice.get("message") or _bare_message(choice, reason)
    usage = answer["usage"] if isinstance(answer.get("usage"), dict) else {}
    text, thinking, refusal = _parts(message.get("content"))
    fields, lists = _thinking(message) if message.keys() - PLAIN_FIELDS else ([], [])
    counted = usage.get("completion_tokens_details")
    hidden = _is_hidden(message.get("content")) or any(map(_is_hidden, lists))
    if not text and (message.get("tool_calls") or message.get("function_call")) and ending_of(reason) is Ending.STOP:
        reason = "tool_calls"
    return Said(
        text=text,
        thinking="\n".join(dict.fromkeys((*fields, *thinking))) if fields or thinking else "",
        refusal=_refusal(message.get("refusal")) or refusal,
        reason=reason,
        filtered=_any_filtered(choice.get("content_filter_results")),
        thought_unseen=(isinstance(counted, dict) and bool(counted.get("reasoning_tokens"))) or hidden,
        prompt_tokens=token_count(usage.get("prompt_tokens")),
        completion_tokens=token_count(usage.get("completion_tokens")),
        details={"model": answer.get("model"), "system_fingerprint": answer.get("system_fingerprint"), "usage": usage},
        tokens=choice.get("logprobs"),
    )


def _thinking(message: Any) -> tuple[list[str], list[Any]]:
    """What a message's fields hold of thinking, and the lists in which some of it may be hidden."""
    fields = [
        thought
        for name in THINKING_FIELDS
        if (found := message.get(name)) and (thought := "".join(_texts(found, "text")))
    ]
    lists = [found for name in THINKING_LISTS if (found := message.get(name))]
    if not fields:
        fields = [thought for found in lists if (thought := "\n".join(_texts(found, "text")))]
    return fields, lists


def _reason(choice: Any) -> Any:
    """The finish reason: the first that is named, or the provider's own word where a gateway made `stop` of it."""
    if isinstance(plain := choice.get("finish_reason"), str) and plain and "native_finish_reason" not in choice:
        return plain
    named = [found for name in FINISH_FIELDS if isinstance(found := choice.get(name), str | dict) and found]
    first = named[0] if named else None
    if len(named) > 1 and ending_of(first) in (Ending.STOP, None):
        own = choice.get("native_finish_reason")
        # Only the provider's own word: `stop_reason` may be any text at which a model stops.
        return own if ending_of(own) in MORE_THAN_STOP or (ending_of(first) is None and ending_of(own)) else first
    return first


def _bare_message(choice: Any, reason: Any) -> dict[str, Any]:
    """The message of a choice that has none: a text, or nothing where the finish reason says why."""
    if "text" in choice:
        return {"content": choice["text"]}
    if ending_of(reason) in (None, Ending.STOP):
        raise KeyError("message")
    return {}


def _refusal(found: Any) -> str:
    return found if isinstance(found, str) else "refused" if found else ""


def _is_hidden(parts: Any) -> bool:
    """Whether some of a list of parts is thinking that only the vendor can read."""
    if not isinstance(parts, list):
        return False
    kinds = [str(part.get("type", "")) for part in parts if isinstance(part, dict)]
    return any("encrypted" in kind or "redacted" in kind for kind in kinds)


def blocked(answer: Any) -> bool:
    """Whether an answer without choices says that a filter stopped the prompt (Azure, Gemini)."""
    if not isinstance(answer, dict) or answer.get("choices"):
        return False
    candidates = answer.get("candidates")
    if isinstance(candidates, list) and candidates and isinstance(candidates[0], dict):
        return ending_of(candidates[0].get("finishReason")) is Ending.FILTER
    feedback = answer.get("promptFeedback") or answer.get("prompt_feedback") or {}
    return bool(feedback.get("blockReason") or feedback.get("block_reason")) or _any_filtered(
        answer.get("prompt_filter_results")
    )


def _parts(content: Any) -> tuple[str | None, list[str], str]:
    """(text, pieces of thinking, refusal) of a message's content: a text, or a list of parts."""
    if content is None or isinstance(content, str):
        return content, [], ""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise TypeError("content is neither a text nor a list")
    text: list[str] = []
    thinking: list[str] = []
    refusal: list[str] = []
    for part in content:
        kind = "text" if isinstance(part, str) else str(part.get("type", "text"))
        # Gemini's parts of thinking have no type, but `thought: true`.
        is_thinking = any(word in kind.lower() for word in THINKING_WORDS) or _has_thought(part)
        place = thinking if is_thinking else refusal if kind == "refusal" else text
        place.extend(_texts(part, kind))
    return "".join(text) if text or not content else None, thinking, "".join(refusal)


def _texts(part: Any, kind: str) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for inner in part:
            yield from _texts(inner, kind)
    elif isinstance(part, dict):
        names = (kind, "thinking", "text", "content", "summary", "reasoning_content", "reasoning", "reasoningText")
        for name in dict.fromkeys(names):
            if isinstance(part.get(name), str | list | dict) and part[name]:
                yield from _texts(part[name], kind)
                return
        if isinstance(inner := part.get("reasoningContent"), dict):  # Bedrock
            yield from _texts(inner, "text")


def _has_thought(part: Any) -> bool:
    return isinstance(part, dict) and (part.get("thought") is True or "reasoningContent" in part)


def _any_filtered(found: Any) -> bool:
    """Whether Azure's filter results name a category that was filtered."""
    if isinstance(found, dict):
        return found.get("filtered") is True or any(map(_any_filtered, found.values()))
    return isinstance(found, list) and any(map(_any_filtered, found))
