"""The labels of thinking, read into the study's grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.files import ArtifactError, thinking_label_file
from refusal_stability.records import DECISIONS, MISSING, NOT_SAMPLED, Condition
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import LABEL_TABLE, check_labels

CODES = {**{str(decision): code for code, decision in enumerate(DECISIONS)}, "": MISSING}


def read_thinking(judge: str, conditions: Sequence[Condition], ids: Sequence[str], sampled: Any) -> Any:
    """(P, T, S) the judge's first decisions on one model's thinking; `NOT_SAMPLED` where a response has none.

    `sampled` (P, T, S) marks the responses that were asked for: only these have thinking.
    """
    codes = np.full(sampled.shape, NOT_SAMPLED, dtype=np.int8)
    known = pd.Index(ids)
    for place, condition in enumerate(conditions):
        t, s = divmod(place, sampled.shape[2])
        path = thinking_label_file(condition)
        table = read_table(path, LABEL_TABLE)
        check_labels(table, str(path))
        position = known.get_indexer(pd.Index(table["prompt_id"]))
        expected = {"judge": judge, **vars(condition)}
        fits = (position >= 0) & sampled[position, t, s]
        for column, value in expected.items():
            fits &= (table[column] == value).to_numpy()
        if not fits.all():
            raise ArtifactError(
                f"{path}: row {int(np.argmin(fits)) + 2}: not a label by judge {judge!r} of a response that the study "
                f"has here; run `dvc repro judge@{condition.model}` to write it anew"
            )
        first = (table["repeat"] == 0).to_numpy()
        codes[position[first], t, s] = table["label"][first].map(CODES)
    return codes
