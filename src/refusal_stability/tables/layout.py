"""A table as people read it: its title, its columns, its rows and its notes. Every page and terminal shows this."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.number_format import Row, estimate

# `verbatim` is other people's text, shown as it is.
Kind = Literal["text", "number", "verbatim"]


@dataclass(frozen=True)
class Shown:
    """A column that is shown: its heading, how its cells are set, and how the cell of a row reads."""

    title: str
    kind: Kind
    read: Callable[[Row], str]


@dataclass(frozen=True)
class Layout:
    """A table to show.

    Attributes
    ----------
    name : what its files and anchors are called.
    title : one line above it.
    columns, rows : each cell is a column's reading of a row.
    notes : lines beneath it.
    """

    name: str
    title: str
    columns: tuple[Shown, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The text of every cell, row by row."""
        return [tuple(column.read(row) for column in self.columns) for row in self.rows]


def words(title: str, read: str | Callable[[Row], str], kind: Kind = "text") -> Shown:
    """A column of texts: the row's value of that name, or what a function makes of the row."""
    return Shown(title, kind, read if callable(read) else lambda row: str(row[read]))


def numbers(title: str, read: Callable[[Row], str]) -> Shown:
    """A column of numbers that a function writes."""
    return Shown(title, "number", read)


def described(name: str, title: str = "", key: str = "", **changes: Any) -> Shown:
    """A column as `tables.columns` describes it, with its interval.

    Parameters
    ----------
    name : the column.
    title, changes : another heading, and other fields of the column (`digits`), than those described.
    key : where the rows hold it under another name.
    """
    column = replace(COLUMNS[name], **{"name": key or name, **changes})
    kind: Kind = "number" if column.kind in ("number", "whole") else "text"
    return Shown(title or column.title, kind, lambda row: estimate(row, column))


def each(names: str) -> tuple[Shown, ...]:
    """Described columns by their names, separated by spaces."""
    return tuple(map(described, names.split()))


def filled(*layouts: Layout) -> tuple[Layout, ...]:
    """The layouts that have a row."""
    return tuple(layout for layout in layouts if layout.rows)


def laid_out(name: str, title: str, rows: Iterable[Row], *columns: Shown, notes: Iterable[str] = ()) -> Layout:
    """A layout of rows."""
    return Layout(name, title, columns, tuple(rows), tuple(notes))


def plain_line(text: str) -> str:
    """Text on one line, without control and direction characters."""
    return "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))


def as_text(layout: Layout) -> str:
    """A layout for a terminal: aligned columns, then the notes."""
    table = [tuple(column.title for column in layout.columns), *layout.cells]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column.kind == "number" else cell.ljust(width)
            for cell, width, column in zip(row, widths, layout.columns, strict=True)
        ).rstrip()
        for row in table
    ]
    return "\n".join([*([layout.title] if layout.title else []), *lines, *layout.notes])
