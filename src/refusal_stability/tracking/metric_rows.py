"""Rows of the metric tables as MLflow's metrics. Every number is a cell, rounded; no statistic is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from refusal_stability.records import StudyError, content_hash
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.metrics import METRIC_TABLES

DIGITS = 4
BOUNDS = ("", "_low", "_high")
# What `{scope}` of a column's metric is, by table.
SCOPES = {"aggregate_by_model": "pooled", "aggregate_by_temperature": "within_T"}


def rows_of(table: pd.DataFrame, model: str, intervention: str) -> pd.DataFrame:
    """A metric table's rows about one model and intervention, on either side of a comparison."""
    if "model" in table:
        return table[(table["model"] == model) & (table["intervention"] == intervention)]
    a = (table["model_a"] == model) & (table["intervention_a"] == intervention)
    return table[a | ((table["model_b"] == model) & (table["intervention_b"] == intervention))]


def only_row(tables: Mapping[str, pd.DataFrame], name: str, **place: float) -> pd.Series[Any]:
    """The one row of a table at a place; another number of rows is an error."""
    table = tables.get(name, pd.DataFrame())
    for column, value in place.items():
        table = table[table[column] == value]
    if len(table) != 1:
        where = ", ".join(f"{column} {value:g}" for column, value in place.items()) or "one of the study's models"
        raise StudyError(
            f"data/metrics/{name}.csv: {len(table)} rows for {where}, expected one. The tables are from another study: "
            "run `make metrics`"
        )
    return table.iloc[0]


def row_over_all(tables: Mapping[str, pd.DataFrame], name: str, **place: float) -> pd.Series[Any] | None:
    """The row at a place, or that over all temperatures; None where the table has no rows."""
    table = tables.get(name, pd.DataFrame())
    if table.empty:
        return None
    return only_row({name: table if place else table[table["temperature"].isna()]}, name, **place)


def metrics_of(table: str, row: pd.Series[Any] | None, only: Sequence[str] = ()) -> dict[str, float]:
    """A row's numbers as metrics: those with intervals first. Undefined ones are left out."""
    if row is None:
        return {}
    columns = [COLUMNS[name] for name in METRIC_TABLES[table][1].columns if name in COLUMNS]
    logged = [column for column in columns if column.mlflow and (not only or column.name in only)]
    logged.sort(key=lambda column: not column.over)
    cells = {
        f"{column.mlflow.format(scope=SCOPES.get(table, ''))}{end}": row[f"{column.name}{end}"]
        for column in logged
        for end in BOUNDS
        if f"{column.name}{end}" in row
    }
    return {metric: round(float(value), DIGITS) for metric, value in cells.items() if pd.notna(value)}


def value_with_bounds(row: pd.Series[Any], column: str) -> str:
    """A value with its interval, as text."""
    value, low, high = (row[f"{column}{end}"] for end in BOUNDS)
    if pd.isna(value):
        return "(not defined)"
    digits = COLUMNS[column].decimals
    shown = f"{value:.{digits}f}"
    return shown if pd.isna(low) or pd.isna(high) else f"{shown} ({low:.{digits}f} to {high:.{digits}f})"


def table_hash(table: pd.DataFrame) -> str:
    """A digest of a table's cells."""
    return content_hash(table.to_csv(index=False))
