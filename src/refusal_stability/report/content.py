"""What a report says, as plain text: each format escapes it in its own way, so that none can forget to."""

from __future__ import annotations

from dataclasses import dataclass, field

from refusal_stability.tables.layout import Layout


@dataclass(frozen=True)
class Picture:
    """A figure to show in a section.

    Its caption states one `finding` and how to read it, and so does its alternative text, without the how. `shows` has
    all its numbers in words, for readers who cannot see them; a page folds it.
    `number` is its place in reading order, from 1; 0 until the report is put together.
    """

    name: str
    section: str
    title: str
    caption: str
    finding: str
    shows: str
    png: bytes = field(repr=False)
    number: int = 0

    @property
    def heading(self) -> str:
        """Its number and title."""
        return f"Figure {self.number}. {self.title}" if self.number else self.title


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
class KeyFigure:
    """One of the numbers that matter: its name, and its value for each model."""

    name: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Summary:
    """Page one: what a reader who reads nothing else should know.

    Attributes
    ----------
    banner : what must be known before any number is believed.
    asked : what was asked, in a sentence or two.
    figures : the numbers that matter, each with its interval.
    consequence : what follows for a test that asks each prompt once.
    pictures : one figure, or none.
    caveats : what the numbers rest on.
    """

    banner: tuple[str, ...]
    asked: str
    figures: tuple[KeyFigure, ...]
    consequence: str
    pictures: tuple[Picture, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The whole report; a page without a summary starts with its first section."""

    title: str
    question: str
    sections: tuple[Section, ...]
    summary: Summary | None = None

    @property
    def tables(self) -> tuple[Layout, ...]:
        """Every table in reading order."""
        return tuple(table for section in self.sections for table in section.tables)
