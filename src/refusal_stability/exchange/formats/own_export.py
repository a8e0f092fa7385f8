"""This project's own export: `responses.parquet` of `refusal-stability export`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.logged import LoggedLabel, LoggedResponse
from refusal_stability.exchange.response_table import is_response_table, read_responses
from refusal_stability.records import NO_INTERVENTION, Message, Outcome, Prompt


@log_format("export", is_response_table, rank=-1)
def exported_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Each row; a model under an intervention becomes a model of its own, and a judge's first repeat is taken."""
    for path in paths:
        for number, row in enumerate(read_responses(path), start=1):
            model, intervention = row["model"], row["intervention"]
            earlier = tuple(Message(turn["role"], turn["content"]) for turn in json.loads(row["turns"] or "[]"))
            messages = (*earlier, Message("user", row["prompt"])) if earlier else ()
            about = (row["category"], row["source"], messages, row["harm"], row["language"], row["intent"])
            if any(label["repeat"] for label in row["labels"]):
                options.note(f"{path.name}: only the first repeat of each judge is taken")
            yield LoggedResponse(
                f"{path}: row {number}",
                model if intervention == NO_INTERVENTION else f"{model}-{intervention}",
                Prompt(row["prompt_id"], row["prompt"], *about),
                row["temperature"],
                row["seed"],
                row["response"],
                row["finish_reason"],
                row["missing_reason"],
                Outcome(row["outcome"]),
                row["thinking"],
                {
                    label["judge"]: LoggedLabel(
                        label["label"], label["reasoning"], label["missing_reason"], label["confidence"]
                    )
                    for label in row["labels"]
                    if label["repeat"] == 0
                },
            )
