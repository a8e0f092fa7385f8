"""All that a report is written from, and how a metric table becomes a table to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_stability.params.study import StudyParams
from refusal_stability.report.content import Column, Kind, Picture, Table
from refusal_stability.report.number_format import Row
from refusal_stability.report.versions import Pin

if TYPE_CHECKING:
    import pandas as pd

ALL = "*"
Shown = tuple[str, Kind, Callable[[Row], str]]


@dataclass(frozen=True)
class Evidence:
    """The study's parameters, prompts, metric tables (those that exist), figures and names.

    Attributes
    ----------
    params_text : the parameter file, word for word.
    labels : (model, intervention) -> the name that figures and report use.
    pinned : the versions that the files beside the study pin.
    """

    params: StudyParams
    params_text: str
    prompts: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, Picture]
    labels: Mapping[tuple[str, str], str]
    pinned: tuple[Pin, ...]

    def rows(self, name: str) -> list[Row]:
        """The rows of a metric table in its own order; none where the table is absent."""
        records = self.tables[name].to_dict("records") if name in self.tables else []
        return [{str(column): value for column, value in row.items()} for row in records]

    def label(self, row: Row, side: str = "") -> str:
        """The name of the model (under its intervention) that a row is about."""
        model, intervention = row[f"model{side}"], row[f"intervention{side}"]
        if model == ALL:
            return "all models"
        return self.labels.get((model, intervention), f"{model} + {intervention}")

    def show(self, names: Iterable[str]) -> tuple[Picture, ...]:
        """The figures of these names that exist."""
        return tuple(self.pictures[name] for name in names if name in self.pictures)


def table(name: str, caption: str, rows: Iterable[Row], *columns: Shown) -> tuple[Table, ...]:
    """The rows as a table to show, each column `(heading, kind, row -> cell)`; nothing where there are no rows."""
    cells = tuple(tuple(cell(row) for _, _, cell in columns) for row in rows)
    if not cells:
        return ()
    return (Table(name, caption, tuple(Column(heading, kind) for heading, kind, _ in columns), cells),)
