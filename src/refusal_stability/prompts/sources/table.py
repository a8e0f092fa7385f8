"""A file of the user's own, whose columns `prompts.columns` names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from refusal_stability.params.checks import require
from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.conversation import conversation_in
from refusal_stability.prompts.identity import UNCATEGORISED, joined_categories, prompt_id
from refusal_stability.prompts.source import prompt_source
from refusal_stability.records import HARMS, Message, Prompt
from refusal_stability.tables.user_files import UserRow, read_rows


@prompt_source("table", has_columns=True)
def table_prompts(path: Path, params: PromptParams) -> list[Prompt]:
    """One prompt a row. An empty prompt, a repeated prompt or a repeated id is an error, for the user to correct."""
    columns = dict(params.columns)
    if "messages" not in columns:
        columns = {"prompt": "prompt"} | columns
    require(not {"prompt", "messages"} <= set(columns), "prompts.columns.messages", columns.get("messages"), EITHER)
    asked = columns.get("messages") or columns["prompt"]
    prompts = []
    ids: dict[str, UserRow] = {}
    conversations: dict[tuple[Message, ...], UserRow] = {}
    for row in read_rows(path, list(dict.fromkeys([asked, *columns.values()]))):
        messages = conversation_in(row, asked, as_json="messages" in columns)
        text = messages[-1].content
        if not text.strip():
            raise row.error(asked, "the prompt is empty; write one or remove the row")
        if messages in conversations:
            raise row.error(asked, f"the same prompt as in row {conversations[messages].number}; remove one of the two")
        identity = _id(row, columns["id"]) if "id" in columns else prompt_id(text, messages[:-1])
        if "id" in columns and identity in ids:
            raise row.error(
                columns["id"], f"the id {identity!r} is taken by row {ids[identity].number}; ids are unique"
            )
        conversations[messages] = ids[identity] = row
        category = _category(row, columns["category"]) if "category" in columns else UNCATEGORISED
        source = row.text(columns["source"]) if "source" in columns else path.name
        told = messages if len(messages) > 1 else ()
        prompts.append(Prompt(identity, text, category, source, told, **_about(row, columns, params.values)))
    return prompts


EITHER = "either `prompt` or `messages`, not both"


def _id(row: UserRow, column: str) -> str:
    value = row.values[column]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    identity = row.text(column)
    if not identity or not identity.isprintable() or identity != identity.strip():
        raise row.error(column, f"{identity!r} is no id; write one line of text without spaces around it")
    return identity


def _category(row: UserRow, column: str) -> str:
    value = row.values[column]
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str | None) for name in names):
        raise row.error(column, f"holds {value!r}; a text or a list of texts is expected")
    return joined_categories(name or "" for name in names)


def _about(row: UserRow, columns: Mapping[str, str], values: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Harm, language and intent, as far as the file has columns for them."""
    about = {}
    for name in ("harm", "language", "intent"):
        if name in columns:
            about[name] = _translated(row, columns[name], values.get(name, {}))
    harm = about.get("harm", "")
    if harm not in ("", *HARMS):
        raise row.error(
            columns["harm"],
            f"{harm!r} is not {', '.join(HARMS)} or empty; translate it, e.g. "
            f"`values: {{harm: {{{json.dumps(harm, ensure_ascii=False)}: harmful}}}}`",
        )
    return about


def _translated(row: UserRow, column: str, words: Mapping[str, str]) -> str:
    """A cell's text in our words; numbers and truth values are matched as they are written in JSON."""
    value = row.values[column]
    if value is None:
        value = ""
    text = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else value
    found = row.checked(text, column).strip()
    return words.get(found, found)
