"""A study's responses side by side with what each judge says of them: what training, reports and reviews read."""

from __future__ import annotations

import pandas as pd

from refusal_stability.files import generation_file, label_file
from refusal_stability.params.study import StudyParams
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, check_labels

CELL = ["model", "intervention", "temperature", "seed", "prompt_id"]
TEXTS = ["prompt", "response"]


def confidence_of(judge: str) -> str:
    """The column of a judge's confidence, beside the one of its decisions."""
    return f"confidence of {judge}"


def read_judged(params: StudyParams) -> pd.DataFrame:
    """Every response of the study: its cell, prompt and text, and one column per judge.

    A judge's column holds its first repeat's decision, or the empty string where it is missing. Another column has its
    confidence, NaN where it gives none. Missing responses are left out.
    """
    tables = []
    judges = [name for name, judge in params.judging.judges.items() if not judge.on_call]
    for model in params.models:
        for condition in params.conditions(model):
            path = label_file(condition)
            labels = read_table(path, LABEL_TABLE)
            check_labels(labels, str(path))
            first = labels[labels["repeat"] == 0]
            wide = first.pivot(index="prompt_id", columns="judge", values="label").reindex(columns=judges)
            sure = first.pivot(index="prompt_id", columns="judge", values="confidence").reindex(columns=judges)
            sure = sure.astype(float).rename(columns=confidence_of)
            responses = read_table(generation_file(condition), GENERATION_TABLE)
            responses = responses[responses["missing_reason"] == ""]
            table = responses[[*CELL, *TEXTS]].join(wide, on="prompt_id").join(sure, on="prompt_id")
            tables.append(table)
    judged = pd.concat(tables, ignore_index=True)
    judged[judges] = judged[judges].fillna("")
    return judged
