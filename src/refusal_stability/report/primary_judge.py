"""Whose decisions the tables are made from, stated in their captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from refusal_stability.report.content import Section
from refusal_stability.report.phrases import several
from refusal_stability.tables.layout import Layout

# A row of a table that rests on decisions says whose they are, or what they are about, under one of these names.
ABOUT = {"model", "model_a", "judge_a", "rater_a"}


def primary_judges(judge_of: Mapping[str, str]) -> str:
    """The sentence that names the primary judge; where models differ in it, each judge with its models.

    `judge_of`: model, as readers know it -> its primary judge.
    """
    models: dict[str, list[str]] = {}
    for model, judge in judge_of.items():
        models.setdefault(judge, []).append(model)
    if len(models) == 1:
        return f"Primary judge: {next(iter(models))}."
    listed = (f"{judge} for {several(names, most=20)}" for judge, names in models.items())
    return f"Primary judge: {'; '.join(listed)}."


def with_primary_judge(section: Section, said: str) -> Section:
    """A section whose tables of decisions say in their captions who the primary judge is."""
    return replace(section, tables=tuple(_captioned(table, said) for table in section.tables))


def _captioned(table: Layout, said: str) -> Layout:
    decided = any(ABOUT & row.keys() for row in table.rows)
    return replace(table, title=f"{table.title} {said}") if decided else table
