"""A user's cell as a conversation: a text, a list of texts, or messages with role and content."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

from refusal_stability.records import Message
from refusal_stability.tables.user_files import UserRow

ROLES = ("system", "user", "assistant")
OTHER_NAMES = {"developer": "system", "human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}
# Python would join these two texts to one.
SIDE_BY_SIDE = re.compile(r"""['"]\s*['"][^,:\]}]""")


def written_out(messages: Sequence[Message]) -> str:
    """A conversation as people read it: a single turn as it is, several with their roles."""
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in messages)


def conversation_in(row: UserRow, column: str, as_json: bool) -> tuple[Message, ...]:
    """The messages of a cell, ending in the user turn that is judged.

    A text is one user turn, and a list of texts is a list of user turns. With `as_json`, a text that starts with `[` is
    read as JSON, or as Python shows a list: that is how a CSV file holds messages.
    """
    value = row.values[column]
    if as_json and isinstance(value, str) and value.lstrip().startswith("["):
        value = _listed(value)
        if value is None:
            raise row.error(column, "not readable as JSON that lists texts or messages; correct it")
    parts = value if isinstance(value, list) else [value]
    messages = tuple(_message(row, column, part) for part in parts)
    _check_order(row, column, messages)
    return messages


def _listed(text: str) -> list[Any] | None:
    """The list of texts or messages that a text holds, or None."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        if not text.rstrip().endswith("]") or SIDE_BY_SIDE.search(text):
            return None
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    fits = isinstance(found, list) and found and (all(map(_is_text, found)) or all(map(_is_message, found)))
    return found if fits else None


def _is_text(part: Any) -> bool:
    return isinstance(part, str)


def _is_message(part: Any) -> bool:
    return isinstance(part, dict) and bool(part.keys() & {"role", "from"})


def _message(row: UserRow, column: str, part: Any) -> Message:
    if not isinstance(part, dict):
        return Message("user", row.checked(part, column))
    named = part.get("role", part.get("from"))
    role = OTHER_NAMES.get(str(named).lower(), str(named).lower())
    content = part.get("content", part.get("value"))
    if role not in ROLES:
        raise row.error(column, f"holds a message of role {named!r}; allowed: {', '.join(ROLES)}")
    return Message(role, row.checked(_joined(content), column))


def _joined(content: Any) -> Any:
    """The text of a message whose content is a list of text parts; anything else as it is."""
    if isinstance(content, list):
        texts = [p.get("text", "") if isinstance(p, dict) and p.get("type") == "text" else p for p in content]
        return "".join(texts) if all(map(_is_text, texts)) else content
    return content


def _check_order(row: UserRow, column: str, messages: Sequence[Message]) -> None:
    if not messages:
        raise row.error(column, "the conversation is empty; write a turn or remove the row")
    if messages[-1].role != "user":
        raise row.error(column, f"the conversation ends in a turn of role {messages[-1].role}; end it in a user turn")
    if any(message.role == "system" for message in messages[1:]):
        raise row.error(column, "a system message stands inside the conversation; it can only come first")
