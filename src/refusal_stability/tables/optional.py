"""Tables that the metrics stage writes only where they have rows: on people's labels and on judges' confidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from refusal_stability.files import METRICS
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.judge_report import JUDGE_REPORT_TABLES
from refusal_stability.tables.metrics import METRIC_TABLES


def _as(name: str, contract: Contract) -> tuple[Path, Contract]:
    return METRICS / f"{name}.csv", replace(contract, name=name)


# Equal to tables of the judge report, whose rows compare a judge with `people`.
PEOPLE_TABLES: dict[str, tuple[Path, Contract]] = {
    "people_sample": _as(
        "people_sample",
        Contract(
            "people_sample",
            {"n_labelled": "whole", "explained": "text", "uncorrected_because": "text"},
            (),
            {
                "n_labelled": "distinct responses that people labelled",
                "explained": "how many responses they stand for, and with which weights",
                "uncorrected_because": "why their labels correct no rate; empty where they do",
            },
        ),
    ),
    "people_agreement": _as("people_agreement", JUDGE_REPORT_TABLES["rater_agreement"][1]),
    "people_by_decision": _as("people_by_decision", JUDGE_REPORT_TABLES["rater_by_decision"][1]),
    "people_rates": _as("people_rates", JUDGE_REPORT_TABLES["corrected_rates"][1]),
}
_CONFIDENCE = {
    "model": "text",
    "intervention": "text",
    "prompt_id": "text",
    "primary_judge": "text",
    "n_with_confidence": "whole",
    "mean_confidence": "number",
    "lowest_confidence": "number",
}
PROMPT_CONFIDENCE = (
    METRICS / "prompt_confidence.csv",
    Contract(
        "prompt_confidence",
        _CONFIDENCE,
        ("model", "intervention", "prompt_id"),
        {name: COLUMNS[name].meaning for name in _CONFIDENCE},
    ),
)
OPTIONAL_TABLES = PEOPLE_TABLES | {"prompt_confidence": PROMPT_CONFIDENCE}


def tables_so_far() -> dict[str, pd.DataFrame]:
    """Every table of the metrics stage that is there."""
    places = METRIC_TABLES | OPTIONAL_TABLES
    return {name: read_table(path, contract) for name, (path, contract) in places.items() if path.is_file()}
