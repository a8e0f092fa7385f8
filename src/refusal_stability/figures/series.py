"""The series that figures draw: each model under each intervention, with its name, colour and marker."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refusal_stability.figures.palette import intervention_line, model_look
from refusal_stability.params.study import StudyParams
from refusal_stability.records import NO_INTERVENTION
from refusal_stability.tables.layout import plain_line

if TYPE_CHECKING:
    import pandas as pd

LABEL_WIDTH = 22


class NothingToDraw(Exception):
    """The study has no row that the figure could show; the message is drawn instead."""


@dataclass(frozen=True)
class Series:
    """One model under one intervention, as every figure shows it."""

    model: str
    intervention: str
    label: str
    colour: str
    marker: str
    line: Any

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of a metric table that belong to this series."""
        return table[(table["model"] == self.model) & (table["intervention"] == self.intervention)]

    @property
    def wrapped(self) -> str:
        """The label on as many short lines as it takes."""
        return wrapped(self.label)


@dataclass(frozen=True)
class SeriesSet:
    """A study's series in the order of params.yaml, its threshold of instability, and its prompts' texts by id."""

    series: tuple[Series, ...]
    threshold: float = 0.8
    texts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def interventions(self) -> tuple[str, ...]:
        """The interventions in order, each once."""
        return tuple(dict.fromkeys(s.intervention for s in self.series))

    def found_in(self, table: pd.DataFrame) -> tuple[Series, ...]:
        """The series that have rows in a table."""
        present = set(zip(table["model"], table["intervention"], strict=True))
        return tuple(s for s in self.series if (s.model, s.intervention) in present)

    def drawn_from(self, table: pd.DataFrame, column: str, otherwise: str) -> tuple[Series, ...]:
        """The series that have rows in a table, those without a value in `column` included, so that a gap shows.

        Raises `NothingToDraw(otherwise)` where no series has a value.
        """
        if not table[column].notna().any():
            raise NothingToDraw(otherwise)
        return self.found_in(table)


def series_of(params: StudyParams, prompts: pd.DataFrame | None = None) -> SeriesSet:
    """The series of a study; a model keeps its colour and marker under every intervention.

    With `prompts`, figures name prompts by their text; an ellipsis stands for a conversation's earlier turns.
    """
    alone = len(params.interventions) == 1
    series = []
    for position, name in enumerate(params.models):
        colour, marker = model_look(position)
        for turn, intervention in enumerate(params.interventions):
            label = params.shown_name(name)
            series.append(
                Series(
                    model=name,
                    intervention=intervention,
                    label=plain_line(
                        label if alone or intervention == NO_INTERVENTION else f"{label} + {intervention}"
                    ),
                    colour=colour,
                    marker=marker,
                    line=intervention_line(turn),
                )
            )
    texts = {}
    if prompts is not None:
        asked = zip(prompts["prompt_id"], prompts["prompt"], prompts["turns"], strict=True)
        texts = {str(name): f"… {text}" if turns else text for name, text, turns in asked}
    return SeriesSet(tuple(series), params.metrics.threshold, texts)


def wrapped(text: str, width: int = LABEL_WIDTH, lines: int = 3) -> str:
    """Text broken into at most `lines` short lines; longer text ends in an ellipsis."""
    line = plain_line(text)
    # Between words where that is enough, so that a hyphenated name stays whole.
    broken = textwrap.wrap(line, width, break_on_hyphens=False, break_long_words=False)
    if len(broken) > lines or any(len(part) > width for part in broken):
        broken = textwrap.wrap(line, width)
    broken = broken or [""]
    if len(broken) > lines:
        broken = [*broken[: lines - 1], broken[lines - 1][: width - 1].rstrip() + "…"]
    return "\n".join(broken)
