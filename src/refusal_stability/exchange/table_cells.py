"""The cells of a plain table: texts, responses and numbers, each checked where it stands."""

from __future__ import annotations

import math
import re
from typing import Any

from refusal_stability.tables.user_files import UserRow

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


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
    try:
        # A temperature or a confidence is far below a thousand, so a comma is a decimal mark.
        number = float(text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise row.error(column, f"{text!r} is not a number; correct it")
    return number
