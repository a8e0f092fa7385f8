"""The tables in which a collection keeps responses and labels, and one response of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from refusal_stability.exchange.logged import LoggedLabel

SCHEMA = """
CREATE TABLE answers (
    n INTEGER PRIMARY KEY, model TEXT, intervention TEXT, prompt INTEGER, temperature REAL, repeat INTEGER,
    ord INTEGER, place TEXT, response TEXT, finish_reason TEXT, missing_reason TEXT, outcome TEXT, thinking TEXT,
    unseeded INTEGER, file TEXT, identity INTEGER);
CREATE TABLE labels (
    answer INTEGER, judge TEXT, asked INTEGER, label TEXT, reasoning TEXT, missing_reason TEXT, confidence REAL,
    basis TEXT, PRIMARY KEY (answer, judge, asked)) WITHOUT ROWID;
"""
GROUP = "model, intervention, prompt, temperature"
CELL = f"{GROUP}, repeat"
CELL_INDEX = f"CREATE UNIQUE INDEX cell ON answers ({CELL}) WHERE repeat IS NOT NULL;"


@dataclass(frozen=True)
class Collected:
    """One response in its place: a model's repeat of a prompt at a temperature."""

    prompt: int
    response: str
    finish_reason: str
    missing_reason: str
    outcome: str
    thinking: str
    unseeded: bool
    labels: dict[str, list[LoggedLabel]]


@dataclass(frozen=True)
class Grid:
    """The names of what a collection holds, each once and in order."""

    models: list[str]
    interventions: list[str]
    temperatures: list[float]
    repeats: list[int]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many names each axis has."""
        return len(self.models), len(self.interventions), len(self.temperatures), len(self.repeats)

    @property
    def size(self) -> int:
        """How many places it has for each prompt."""
        return math.prod(self.sizes)
