"""Conversations as a model takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from refusal_stability.engines.protocol import Engine
from refusal_stability.records import Message, Request


def folded(messages: Sequence[Message]) -> tuple[Message, ...]:
    """A conversation whose system text stands at the start of the first user turn, for models without that role."""
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    turns = [m for m in messages if m.role != "system"]
    first = next((place for place, m in enumerate(turns) if m.role == "user"), None)
    if system and first is not None:
        turns[first] = Message("user", f"{system}\n\n{turns[first].content}")
    return tuple(turns)


def as_sent(engine: Engine, requests: Sequence[Request]) -> list[Request]:
    """The requests as this engine is sent them, and as the store's keys know them.

    Parameters
    ----------
    engine : may want the system text folded into the first user turn.
    requests : any length. One without a system text stays as it is, and so does its stored answer.
    """
    if not getattr(engine, "fold_system", False):
        return list(requests)
    return [replace(request, messages=folded(request.messages)) for request in requests]
