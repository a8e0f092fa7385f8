"""The columns of the list of prompts: headings and meanings are those of `tables.columns`."""

from __future__ import annotations

from dataclasses import dataclass

from refusal_stability.tables.columns import COLUMNS

# In pixels: three lines of a prompt's text. Streamlit breaks lines in rows of over 64 only.
ROW_HEIGHT = 66


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
    def help(self) -> str:
        """What its numbers mean; empty for texts."""
        column = COLUMNS.get(self.name)
        return column.meaning if column and column.kind in ("number", "whole") else ""

    @property
    def format(self) -> str | None:
        """How its numbers are written; None for whole ones."""
        column = COLUMNS.get(self.name)
        return f"%.{column.decimals}f" if column and column.kind == "number" else None


def _described(name: str, width: int, *orders: str, head: str = "") -> ListColumn:
    return ListColumn(name, head or COLUMNS[name].title, width, orders)


LIST_COLUMNS: dict[str, ListColumn] = {
    column.head: column
    for column in (
        ListColumn("prompt", "Prompt", 190, ("prompts",)),
        ListColumn("label", COLUMNS["model"].title, 110, ("model",)),
        _described("ssi", 50, "ssi", "ssi-high"),
        _described("p_unstable", 83, "unstable"),
        _described("flip", 50, "flip"),
        _described("lowest_confidence", 76, "unsure"),
        _described("majority", 70, "majority"),
        _described("category", 96, "category"),
        # A letter each: the names of the decisions would take the width of the prompt.
        _described("n_refuse", 50, "refuse", head="R"),
        _described("n_partial", 50, "partial", head="P"),
        _described("n_comply", 50, "comply", head="C"),
        _described("n_missing", 58, "missing"),
        _described("prompt_id", 50, "prompts"),
    )
}
# Those of a study sampled in rounds, which also has each prompt's verdict with the samples that it took.
ALL_COLUMNS = LIST_COLUMNS | {COLUMNS["verdict"].title: _described("verdict", 62, "prompts")}
