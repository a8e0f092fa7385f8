"""A file of the user's own, whose columns `prompts.columns` names."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import UNCATEGORISED, joined_categories, prompt_id
from refusal_stability.prompts.source import prompt_source
from refusal_stability.records import Prompt
from refusal_stability.tables.user_files import Row, read_rows


@prompt_source("table", has_columns=True)
def table_prompts(path: Path, params: PromptParams) -> list[Prompt]:
    """One prompt a row. An empty prompt, a repeated text or a repeated id is an error, for the user to correct."""
    columns = {"prompt": "prompt"} | params.columns
    prompts = []
    ids: dict[str, Row] = {}
    texts: dict[str, Row] = {}
    for row in read_rows(path, list(dict.fromkeys(columns.values()))):
        text = row.text(columns["prompt"])
        if not text.strip():
            raise row.error(columns["prompt"], "the prompt is empty; write one or remove the row")
        if text in texts:
            raise row.error(columns["prompt"], f"the same prompt as in {_row(texts[text])}; remove one of the two")
        identity = _id(row, columns["id"]) if "id" in columns else prompt_id(text)
        if "id" in columns and identity in ids:
            raise row.error(columns["id"], f"the id {identity!r} is taken by {_row(ids[identity])}; ids are unique")
        texts[text] = ids[identity] = row
        category = _category(row, columns["category"]) if "category" in columns else UNCATEGORISED
        source = row.text(columns["source"]) if "source" in columns else path.name
        prompts.append(Prompt(identity, text, category, source))
    return prompts


def _row(row: Row) -> str:
    return row.place.rsplit(": ", 1)[-1]


def _id(row: Row, column: str) -> str:
    value = row.values[column]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    identity = row.text(column)
    if not identity or not identity.isprintable() or identity != identity.strip():
        raise row.error(column, f"{identity!r} is no id; write one line of text without spaces around it")
    return identity


def _category(row: Row, column: str) -> str:
    value = row.values[column]
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str | None) for name in names):
        raise row.error(column, f"holds {value!r}; a text or a list of texts is expected")
    return joined_categories(name or "" for name in names)
