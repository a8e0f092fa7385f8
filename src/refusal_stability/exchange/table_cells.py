"""The cells of a plain table: texts, responses and numbers, each checked where it stands."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

from refusal_stability.prompts.conversation import conversation_in
from refusal_stability.records import Message
from refusal_stability.tables.user_files import UserRow

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
WHOLE_FLOAT = re.compile(r"([+-]?\d+)\.0+")


def is_blank(value: Any) -> bool:
    """Whether a cell says nothing."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def cell_text(row: UserRow, column: str) -> str:
    """A cell as a text; a list or an object is an error."""
    value = row.values.get(column)
    if isinstance(value, list | dict):
        raise row.error(column, f"holds a {type(value).__name__}, {str(value)[:60]}; a text or a number is expected")
    return "" if value is None or value != value else value if isinstance(value, str) else str(value)


def answer_text(row: UserRow, column: str) -> str:
    """A response's text; what is no text is an error."""
    value = row.values.get(column)
    if not (value is None or isinstance(value, str) or value != value):
        raise row.error(
            column,
            f"holds a {type(value).__name__}, {str(value)[:60]}; write the response as a text, or several as a list of "
            "texts",
        )
    return cell_text(row, column)


def as_number(row: UserRow, column: str) -> float | None:
    """A cell's number; None where it is empty."""
    text = cell_text(row, column).strip()
    if not text:
        return None
    number = _number_in(text)
    if not math.isfinite(number):
        raise row.error(column, f"{text!r} is not a number; correct it")
    return number


def is_number(text: str) -> bool:
    """Whether a cell's text is a number."""
    return math.isfinite(_number_in(text))


def _number_in(text: str) -> float:
    try:
        # A temperature or a confidence is far below a thousand, so a comma is a decimal mark.
        return float(text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        return math.nan


def whole_id(text: str) -> str:
    """An id as it was before another program made numbers of a column that lacks some: `1` for `1.0`."""
    return whole[1] if (whole := WHOLE_FLOAT.fullmatch(text)) else text


def table_conversation(row: UserRow, column: str, listed: bool) -> tuple[Message, ...]:
    """What was asked: a text, or messages as JSON; also one message, or a request's body that holds them.

    A text of a column of prompts (not `listed`) counts as JSON where all of it is messages with roles.
    """
    text = row.values[column]
    found = _json_in(text) if isinstance(text, str) and text.lstrip().startswith(("{", "[")) else text
    if isinstance(found, dict):
        found = found["messages"] if isinstance(found.get("messages"), list) else [found]
    if isinstance(found, list) and found and all(isinstance(one, dict) and "role" in one for one in found):
        row = replace(row, values={**row.values, column: found})
    return conversation_in(row, column, as_json=listed)


def _json_in(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
