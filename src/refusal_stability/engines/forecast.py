"""What a list of requests would take: how many are stored already, tokens, cost. Nothing is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_stability.engines.store import completion_key
from refusal_stability.engines.store_view import StoreView
from refusal_stability.params.engines.settings import EngineSettings
from refusal_stability.records import Request, canonical_json


@dataclass(frozen=True)
class Forecast:
    """What is to be sent: requests not in the store, an estimate of prompt tokens, an upper bound of answer tokens."""

    requests: int
    stored: int
    prompt_tokens: int
    answer_tokens: int

    @property
    def to_send(self) -> int:
        """Requests that the store lacks."""
        return self.requests - self.stored

    def cost(self, settings: EngineSettings) -> float | None:
        """The cost in the currency of the prices, if every answer is as long as it may be; None without a price."""
        return settings.cost(self.prompt_tokens, self.answer_tokens)

    def beyond(self, settings: EngineSettings) -> list[str]:
        """The caps that this would exceed, by name."""
        needed = {"max_requests": self.to_send, "max_total_tokens": self.prompt_tokens + self.answer_tokens}
        return [name for name, cap in settings.caps().items() if cap is not None and needed[name] > cap]


def forecast(
    identity: Mapping[str, Any], requests: Sequence[Request], store: Path, settings: EngineSettings
) -> Forecast:
    """What sending `requests` to an engine of this identity would take.

    Parameters
    ----------
    identity : the engine's.
    requests : any length; equal ones are sent once and counted once.
    store : the file of completions already paid for; it need not exist.
    settings : the engine's, which know how long its tokens are.
    """
    name = canonical_json(dict(identity))
    by_key = {completion_key(name, request): request for request in requests}
    with StoreView(store) as opened:
        stored = opened.tokens(by_key)
    missing = [request for key, request in by_key.items() if key not in stored]
    return Forecast(
        len(by_key),
        len(stored),
        sum(prompt_tokens(request, settings) for request in missing),
        sum(request.sampling.max_tokens for request in missing),
    )


def prompt_tokens(request: Request, settings: EngineSettings) -> int:
    """An estimate of the tokens of a request's messages, from their bytes."""
    text = sum(len(m.content.encode("utf-8", "replace")) for m in request.messages)
    return math.ceil(text / settings.bytes_per_token) + settings.template_tokens * len(request.messages)
