"""What a report says, as plain text: each format escapes it in its own way, so that none can forget to."""

from __future__ import annotations

from dataclasses import dataclass, field

from refusal_stability.tables.layout import Layout


@dataclass(frozen=True)
class Picture:
    """A figure to show in a section.

    Its caption states one `finding` and how to read it. `shows` has all its numbers in words: its alternative text.
    """

    name: str
    section: str
    title: str
    caption: str
    finding: str
    shows: str
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class Section:
    """A part of the report; `code` is a file shown word for word."""

    slug: str
    title: str
    paragraphs: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    tables: tuple[Layout, ...] = ()
    pictures: tuple[Picture, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Report:
    """The whole report."""

    title: str
    question: str
    sections: tuple[Section, ...]

    @property
    def tables(self) -> tuple[Layout, ...]:
        """Every table in reading order."""
        return tuple(table for section in self.sections for table in section.tables)
