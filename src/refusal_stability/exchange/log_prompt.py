"""What the readers of logs share: the prompt of a record, the beginning of a file, a whole JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from refusal_stability.exchange.logged import LogError
from refusal_stability.files import ArtifactError, json_fault
from refusal_stability.prompts.conversation import conversation_in
from refusal_stability.prompts.identity import UNCATEGORISED, joined_categories, prompt_id
from refusal_stability.records import Prompt
from refusal_stability.tables.user_files import UserRow

HEAD = 65536
NO_TEXT = "a text is expected"
NO_TEXTS_REMEDY = "remove the record, or import its responses as a table"


def logged_prompt(place: str, asked: Any, source: str, category: object = None) -> Prompt:
    """The prompt that was sent: a text, a list of messages, or either as JSON text."""
    if isinstance(asked, str) and asked.lstrip().startswith("["):
        try:
            found = json.loads(asked)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and found and all(isinstance(turn, dict) and "role" in turn for turn in found):
            asked = found
    try:
        messages = conversation_in(UserRow(place, 1, {"prompt": asked}), "prompt", as_json=False)
    except ArtifactError as error:
        words = str(error).replace(f"{place}: row 1, column prompt:", f"{place}: the prompt:")
        raise LogError(words.replace(NO_TEXT, f"{NO_TEXT}; {NO_TEXTS_REMEDY}")) from error
    text = messages[-1].content
    if not text.strip():
        raise LogError(f"{place}: the prompt is empty; remove the record")
    named = joined_categories([category]) if isinstance(category, str) else UNCATEGORISED
    return Prompt(prompt_id(text, messages[:-1]), text, named, source, messages if len(messages) > 1 else ())


def answer_text(content: Any) -> str:
    """The text of an answer, which may come in parts; what is no text stands as JSON."""
    if isinstance(content, list) and content:
        texts: list[Any] = [part.get("text") if isinstance(part, dict) else part for part in content]
        if all(isinstance(text, str) for text in texts):
            return "".join(texts)
    return content if isinstance(content, str) else "" if content is None else json.dumps(content, ensure_ascii=False)


def logged_number(place: str, name: str, value: object) -> float | None:
    """A number of a log, which may stand as a text; None where the log does not say it."""
    if value is None:
        return None
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else _no_number()
    except (ValueError, OverflowError) as error:
        raise LogError(f"{place}: the {name} {str(value)[:60]!r} is not a number; correct it") from error


def _no_number() -> NoReturn:
    raise ValueError


def file_head(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(HEAD)


def first_record(path: Path) -> dict[str, Any]:
    """The first line of a file of JSON lines; empty where it is none."""
    with path.open("rb") as file:
        line = file.readline(2**24)
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def whole_json(path: Path, largest: int, remedy: str) -> Any:
    """A JSON file that fits into memory; a larger one, or a torn one, is an error."""
    size = path.stat().st_size
    if size > largest:
        raise LogError(
            f"{path}: {size / 2**20:,.0f} MB, more than the {largest // 2**20} MB that are read at once; {remedy}"
        )
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise LogError(f"{path}: not readable as JSON ({json_fault(error)}); copy it again") from error
