"""Conversations as a model takes them."""

from __future__ import annotations

from collections.abc import Sequence

from refusal_stability.records import Message


def folded(messages: Sequence[Message]) -> tuple[Message, ...]:
    """A conversation whose system text stands at the start of the first user turn, for models without that role."""
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    turns = [m for m in messages if m.role != "system"]
    first = next((place for place, m in enumerate(turns) if m.role == "user"), None)
    if system and first is not None:
        turns[first] = Message("user", f"{system}\n\n{turns[first].content}")
    return tuple(turns)
