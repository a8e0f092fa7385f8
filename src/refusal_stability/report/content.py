"""What a report says, as plain text: each format escapes it in its own way, so that none can forget to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "number", "verbatim"]


@dataclass(frozen=True)
class Column:
    """A table's column: its heading and how its cells are set; `verbatim` is other people's text, shown as it is."""

    heading: str
    kind: Kind = "number"


@dataclass(frozen=True)
class Table:
    """A table to show; `name` is its file name as LaTeX."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.name}: every row needs {len(self.columns)} cells")


@dataclass(frozen=True)
class Picture:
    """A figure to show: `shows` says in words what it shows, `caption` how to read it."""

    name: str
    title: str
    caption: str
    shows: str
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class Section:
    """A part of the report; `code` is a file shown word for word."""

    slug: str
    title: str
    paragraphs: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Report:
    """The whole report."""

    title: str
    question: str
    sections: tuple[Section, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every table in reading order."""
        return tuple(table for section in self.sections for table in section.tables)
