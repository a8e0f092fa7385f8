"""This project's own export: `responses.parquet` of `refusal-stability export`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.logged import LoggedLabel, LoggedResponse
from refusal_stability.exchange.response_table import is_response_table, read_responses, study_of
from refusal_stability.exchange.told_by_export import exported_response, further_labels
from refusal_stability.records import Basis, Message


@log_format("export", is_response_table, rank=-1)
def exported_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Each row, and the study that the file describes."""
    for path in paths:
        for number, row in enumerate(read_responses(path), start=1):
            earlier = tuple(Message(turn["role"], turn["content"]) for turn in json.loads(row["turns"] or "[]"))
            messages = (*earlier, Message("user", row["prompt"]))
            place, labels = f"{path}: row {number}", _labels(row)
            response = exported_response(
                place, row, messages, row["temperature"], row["response"], row["thinking"], labels.pop(0, {})
            )
            yield response
            yield from further_labels(response, labels)
        options.add_study(str(path), study_of(path))


def _labels(row: Mapping[str, Any]) -> dict[int, dict[str, LoggedLabel]]:
    """Each judge's labels, by how often it was asked before."""
    labels: dict[int, dict[str, LoggedLabel]] = defaultdict(dict)
    for label in row["labels"]:
        told = (label["label"], label["reasoning"], label["missing_reason"], label["confidence"], label["repeat"])
        labels[label["repeat"]][label["judge"]] = LoggedLabel(*told, Basis(label["basis"]))
    return labels
