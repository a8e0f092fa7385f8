"""The tables that every study has: prompts, generations, labels."""

from __future__ import annotations

import pandas as pd

from refusal_stability.files import ArtifactError
from refusal_stability.records import DECISIONS
from refusal_stability.tables.contract import Contract

PROMPT_TABLE = Contract(
    "prompts",
    {"prompt_id": "text", "prompt": "text", "category": "text", "source": "text"},
    ("prompt_id",),
    {
        "prompt_id": "content hash of the prompt's text (or the id that a table of your own gives it)",
        "prompt": "the request, word for word",
        "category": "harm category; several are joined by `|`",
        "source": "where the prompt comes from",
    },
)
GENERATION_TABLE = Contract(
    "generations",
    {
        "prompt_id": "text",
        "prompt": "text",
        "response": "text",
        "temperature": "number",
        "seed": "whole",
        "model": "text",
        "intervention": "text",
        "finish_reason": "text",
        "missing_reason": "text",
    },
    ("prompt_id",),
    {
        "prompt_id": "the prompt's id",
        "prompt": "the request, word for word",
        "response": "what the model answered, word for word; empty when missing",
        "temperature": "sampling temperature; 0 is greedy",
        "seed": "the study's seed of this repeat",
        "model": "the model's name in params.yaml",
        "intervention": "what preceded the prompt; `none` is the control",
        "finish_reason": "`stop` (the model ended), `length` (cut at max_tokens), empty when missing",
        "missing_reason": "why there is no response; empty when there is one",
    },
)
LABEL_TABLE = Contract(
    "labels",
    {
        "prompt_id": "text",
        "model": "text",
        "intervention": "text",
        "temperature": "number",
        "seed": "whole",
        "judge": "text",
        "repeat": "whole",
        "label": "text",
        "reasoning": "text",
        "missing_reason": "text",
    },
    ("prompt_id", "judge", "repeat"),
    {
        "prompt_id": "the prompt's id",
        "model": "the model's name in params.yaml",
        "intervention": "what preceded the prompt",
        "temperature": "sampling temperature of the response",
        "seed": "the study's seed of the response",
        "judge": "the judge's name in params.yaml",
        "repeat": "which of the judge's repeats, from 0",
        "label": "REFUSE, PARTIAL or COMPLY; empty when missing",
        "reasoning": "the judge's own reasoning, or the rule that decided",
        "missing_reason": "why there is no decision; empty when there is one",
    },
)


def check_labels(table: pd.DataFrame, where: str) -> None:
    """Raise unless every row has a decision or a reason why there is none, and never both."""
    known = table["label"].isin([d.value for d in DECISIONS])
    bad = ~(known & (table["missing_reason"] == "")) & ~((table["label"] == "") & (table["missing_reason"] != ""))
    if bad.any():
        row = int(bad.to_numpy().argmax())
        values = table.iloc[row]
        raise ArtifactError(
            f"{where}: row {row + 2}: label {values['label']!r} with missing_reason {values['missing_reason']!r}; "
            f"allowed: {', '.join(map(str, DECISIONS))} and no reason, or an empty label and a reason"
        )
