"""The folder of an export: how its files are called, and which of them an import leaves aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from refusal_stability.exchange.response_table import is_response_table

RESPONSES = "responses.parquet"
METRICS = "metrics"
PACKAGE = "datapackage.json"
CARD = "README.md"
FORMS = EVERY_EVAL_EVER, INSPECT = ("every-eval-ever", "inspect")


def left_aside(files: Sequence[Path]) -> Mapping[Path, Sequence[Path]]:
    """The responses of each export among the files -> the export's files that say the same, or hold only its tables."""
    aside = {}
    for responses in files:
        folder = responses.parent
        if responses.name == RESPONSES and (folder / PACKAGE).is_file() and is_response_table(responses):
            others = (folder / PACKAGE, folder / CARD)
            inside = tuple(folder / name for name in (METRICS, *FORMS))
            aside[responses] = [f for f in files if f in others or any(f.is_relative_to(place) for place in inside)]
    return aside
