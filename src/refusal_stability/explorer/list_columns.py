"""The columns of the list of prompts: headings and meanings are those of `tables.columns`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from refusal_stability.plain_text import visible
from refusal_stability.tables.columns import COLUMNS

# In pixels: three lines of a prompt's text.
ROW_HEIGHT = 66
LONGEST = 500


@dataclass(frozen=True)
class ListColumn:
    """A column of the list.

    Attributes
    ----------
    name, head : its name in the table, and its heading.
    width : in pixels; together the columns fit a window 1,280 wide.
    orders : those that clicks on the heading go through.
    """

    name: str
    head: str
    width: int
    orders: tuple[str, ...]

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers, which have their last digits below each other."""
        column = COLUMNS.get(self.name)
        return column is not None and column.kind in ("number", "whole")

    @property
    def help(self) -> str:
        """What its numbers mean; empty for texts."""
        return COLUMNS[self.name].meaning if self.is_number else ""

    def written(self, value: Any) -> str:
        """A value as the list shows it, on one line."""
        if self.name == "flip":
            return "flip" if value else ""
        if pd.isna(value):
            return ""
        if self.is_number:
            return f"{value:.{COLUMNS[self.name].decimals}f}"
        return category_in_words(value) if self.name == "category" else _cut(" ".join(visible(value).split()))


def category_in_words(category: str) -> str:
    """Categories as words: `a_b|c` as `a b, c`."""
    return re.sub("[|,] *", ", ", visible(category)).replace("_", " ")


def _cut(text: str) -> str:
    """What three lines can hold; the style sheet ends them in an ellipsis."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _described(name: str, width: int, *orders: str, head: str = "") -> ListColumn:
    return ListColumn(name, head or COLUMNS[name].title, width, orders)


LIST_COLUMNS: dict[str, ListColumn] = {
    column.head: column
    for column in (
        ListColumn("prompt", "Prompt", 190, ("prompts",)),
        ListColumn("label", COLUMNS["model"].title, 100, ("model",)),
        _described("ssi", 56, "ssi", "ssi-high"),
        _described("p_unstable", 84, "unstable"),
        _described("flip", 48, "flip"),
        _described("lowest_confidence", 58, "unsure"),
        _described("majority", 76, "majority"),
        _described("category", 118, "category"),
        # A letter each: the names of the decisions would take the width of the prompt.
        _described("n_refuse", 36, "refuse", head="R"),
        _described("n_partial", 36, "partial", head="P"),
        _described("n_comply", 36, "comply", head="C"),
        _described("n_missing", 66, "missing"),
        # Of a study sampled in rounds: each prompt's verdict, with the samples that it took.
        _described("verdict", 76, "prompts"),
    )
}


def columns_of(table: pd.DataFrame) -> list[ListColumn]:
    """Those that tell the rows of a study's list apart: no name of its only model, and nothing that no row has."""
    one_model = table["label"].nunique() <= 1
    return [
        column
        for column in LIST_COLUMNS.values()
        if column.name in table and not table[column.name].isna().all() and not (one_model and column.name == "label")
    ]
