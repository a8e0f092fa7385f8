"""The list of prompts. The page is sent the rows around those on the screen, and asks for others as it scrolls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from refusal_stability.explorer import session, study, views
from refusal_stability.explorer.links import View
from refusal_stability.explorer.list_columns import LIST_COLUMNS, ROW_HEIGHT, ListColumn, columns_of
from refusal_stability.tables.spreadsheets import csv_text

SHOWN = 6  # whole rows on the screen
SENT, BEFORE = 120, 40  # rows sent at once, and how many of them stand before the one asked for
# A browser draws no page of any height.
MOST_LISTED = 200_000
list_of_prompts = st.components.v2.component(
    "refusal_stability_prompts",
    html='<div class="prompts"></div>',
    css=(session.HERE / "prompt_list.css").read_text(encoding="utf-8"),
    js=session.script("prompt_list.js"),
)


def show_list(table: pd.DataFrame, rows: pd.DataFrame, view: View, path: Path) -> None:
    """The list of prompts; a click opens one, a click on a column's head orders the list by it."""
    n_prompts = rows["prompt_id"].nunique()
    st.text(f"{len(rows):,} of {len(table):,} rows (a row is a prompt with one model); {n_prompts:,} prompts")
    if len(rows) > MOST_LISTED:
        st.text(f"The list shows the first {MOST_LISTED:,} rows. Filter to see others.")
    # A row that was sent is kept by the page while this stays the same.
    version = str(hash((tuple(rows.index), view.order, study.prompts_state(path))))
    wanted = st.session_state.get("wanted", ("", 0))
    first = max(0, wanted[1] - BEFORE) if wanted[0] == version else 0

    def want() -> None:
        st.session_state["wanted"] = (version, st.session_state["list"]["wanted"])

    def reorder() -> None:
        st.session_state["order"] = views.order_after(view.order, st.session_state["list"]["ordered"])

    data = {
        "version": version,
        "columns": (columns := [_head(column, view.order) for column in columns_of(table)]),
        "total": min(len(rows), MOST_LISTED),
        "first": first,
        "rows": sent(rows.iloc[first : first + SENT], [column["head"] for column in columns]),
        "open": view.prompt,
        "height": ROW_HEIGHT,
        "shown": SHOWN,
    }
    list_of_prompts(
        data=data,
        key="list",
        on_opened_change=lambda: open_prompt(st.session_state["list"]["opened"]),
        on_ordered_change=reorder,
        on_wanted_change=want,
    )
    with st.container(horizontal=True):
        st.download_button(
            "Download this list as CSV",
            lambda: csv_text(rows.drop(columns="position")).encode(),
            file_name="prompts.csv",
            mime="text/csv",
            on_click="ignore",
        )
        ids = rows["prompt_id"].tolist()
        for word, step in (("Previous prompt", -1), ("Next prompt", 1)):
            target = views.beside(ids, st.session_state["prompt"], step)
            st.button(word, on_click=open_prompt, args=(target,), disabled=target is None)


def _head(column: ListColumn, order: str) -> dict[str, Any]:
    """One column's head as the page draws it."""
    _, name, lowest_first = views.ORDERS[order]
    # The order of the prompt file is no order of a column.
    sorts = order in column.orders and name != "position"
    return {
        "head": column.head,
        "kind": "number" if column.is_number else "text",
        "help": column.help,
        "width": column.width,
        "sorted": ("ascending" if lowest_first else "descending") if sorts else "",
    }


def sent(rows: pd.DataFrame, heads: list[str]) -> list[dict[str, Any]]:
    """Some rows of the list as the page draws them."""
    columns = [LIST_COLUMNS[head] for head in heads]
    written = [[column.written(value) for value in rows[column.name].tolist()] for column in columns]
    return [
        {"prompt": prompt_id, "cells": list(cells)}
        for prompt_id, *cells in zip(rows["prompt_id"].tolist(), *written, strict=True)
    ]


def open_prompt(prompt_id: str) -> None:
    """Open a prompt's grids, with no response open."""
    if prompt_id != st.session_state["prompt"]:
        st.session_state.update(prompt=prompt_id, left=None, right=None)
