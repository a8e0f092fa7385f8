"""A user's cell as a conversation: a text, a list of texts, or messages with role and content."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from refusal_stability.records import Message
from refusal_stability.tables.user_files import UserRow

ROLES = ("system", "user", "assistant")


def conversation_in(row: UserRow, column: str, as_json: bool) -> tuple[Message, ...]:
    """The messages of a cell, ending in the user turn that is judged.

    A text is one user turn, and a list of texts is a list of user turns. With `as_json`, a text that starts with `[` is
    read as JSON, which is how a CSV file holds messages.
    """
    value = row.values[column]
    if as_json and isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise row.error(column, f"not readable as JSON ({error}); correct it") from error
    parts = value if isinstance(value, list) else [value]
    messages = tuple(_message(row, column, part) for part in parts)
    _check_order(row, column, messages)
    return messages


def _message(row: UserRow, column: str, part: Any) -> Message:
    if not isinstance(part, dict):
        return Message("user", row.checked(part, column))
    role, content = part.get("role"), part.get("content")
    if role not in ROLES:
        raise row.error(column, f"holds a message of role {role!r}; allowed: {', '.join(ROLES)}")
    return Message(role, row.checked(_joined(content), column))


def _joined(content: Any) -> Any:
    """The text of a message whose content is a list of text parts; anything else as it is."""
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    return content


def _check_order(row: UserRow, column: str, messages: Sequence[Message]) -> None:
    if not messages:
        raise row.error(column, "the conversation is empty; write a turn or remove the row")
    if messages[-1].role != "user":
        raise row.error(column, f"the conversation ends in a turn of role {messages[-1].role}; end it in a user turn")
    if any(message.role == "system" for message in messages[1:]):
        raise row.error(column, "a system message stands inside the conversation; it can only come first")
