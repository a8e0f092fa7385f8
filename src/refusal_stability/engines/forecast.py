"""What a list of requests would take: how many are stored already, tokens, cost. Nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_stability.engines.store import Store, completion_key
from refusal_stability.params.engines import OpenAISettings
from refusal_stability.records import Request, canonical_json

# English text holds about four bytes a token in every common tokenizer; a chat template adds a few tokens a message.
BYTES_PER_TOKEN = 4
TEMPLATE_TOKENS = 8
MILLION = 1_000_000


@dataclass(frozen=True)
class Forecast:
    """What is to be sent: requests not in the store, their prompts' tokens (about), their answers' tokens (at most)."""

    requests: int
    stored: int
    prompt_tokens: int
    answer_tokens: int

    @property
    def to_send(self) -> int:
        """Requests that the store lacks."""
        return self.requests - self.stored

    def cost(self, settings: OpenAISettings) -> float | None:
        """The most that it costs, in the currency of the prices; None where a price is not given."""
        if settings.price_in is None or settings.price_out is None:
            return None
        return (self.prompt_tokens * settings.price_in + self.answer_tokens * settings.price_out) / MILLION

    def beyond(self, settings: OpenAISettings) -> list[str]:
        """The caps that this would pass, by name."""
        caps = {
            "max_requests": (self.to_send, settings.max_requests),
            "max_total_tokens": (self.prompt_tokens + self.answer_tokens, settings.max_total_tokens),
        }
        return [name for name, (needed, cap) in caps.items() if cap is not None and needed > cap]


def forecast(identity: Mapping[str, Any], requests: Sequence[Request], store: Path) -> Forecast:
    """What sending `requests` to an engine of this identity would take.

    Parameters
    ----------
    identity : the engine's.
    requests : any length; equal ones are sent once and counted once.
    store : the file of completions already paid for; it need not exist.
    """
    name = canonical_json(dict(identity))
    by_key = {completion_key(name, request): request for request in requests}
    stored: Mapping[str, object] = {}
    if store.exists():
        with Store(store) as opened:
            stored = opened.find(by_key)
    missing = [request for key, request in by_key.items() if key not in stored]
    return Forecast(
        len(by_key),
        len(stored),
        sum(map(prompt_tokens, missing)),
        sum(request.sampling.max_tokens for request in missing),
    )


def prompt_tokens(request: Request) -> int:
    """About how many tokens a request's messages are, told from their bytes."""
    text = sum(len(m.content.encode("utf-8", "replace")) for m in request.messages)
    return -(-text // BYTES_PER_TOKEN) + TEMPLATE_TOKENS * len(request.messages)
