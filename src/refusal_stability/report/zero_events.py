"""How many of a model's prompts had an event; where none or all had, what can be said all the same."""

from __future__ import annotations

from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.layout import Shown, numbers
from refusal_stability.tables.number_format import NEARLY_ALL, Row, count, estimate

FORECAST = COLUMNS["pct_comply_forecast"]


def share_of_prompts(inputs: ReportInputs, row: Row, event: str, column: str = "") -> str:
    """A share of a model's prompts with its interval; `0 of 84 (at most 3.6%)` where no prompt had the event."""
    for found in inputs.rows("zero_events"):
        if (found["model"], found["intervention"], found["event"]) == (row["model"], row["intervention"], event):
            return f"0 of {count(found['n_prompts'])} (at most {found['pct_at_most']:.1f}%)"
    return estimate(row, column or f"pct_{event}")


def counted_prompts(inputs: ReportInputs, row: Row, event: str) -> str:
    """The same with the number of prompts: `22 of 84 (26.2% [16.7, 35.7])`."""
    share = share_of_prompts(inputs, row, event)
    if " of " in share:
        return share
    happened = round(row[f"pct_{event}"] * row["n_prompts"] / 100)
    return f"{count(happened)} of {count(row['n_prompts'])} ({share})"


def prompts_with(inputs: ReportInputs, event: str, column: str = "") -> Shown:
    """The column of that share, for tables with a row for each model."""
    shown = COLUMNS[column or f"pct_{event}"]
    return numbers(shown.title, lambda row: share_of_prompts(inputs, row, event, column))


def forecast_share(row: Row) -> str:
    """The forecast share of prompts that comply; `at least 99.9%` where it and its interval round to all of them."""
    low = row[f"{FORECAST.name}_low"]
    return "at least 99.9%" if low >= NEARLY_ALL else estimate(row, FORECAST)
