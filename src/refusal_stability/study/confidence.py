"""How sure the primary judge is of each prompt's decisions."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.files import label_file
from refusal_stability.params.study import StudyParams
from refusal_stability.tables.csv_files import column_names, read_arrow

READ: dict[Hashable, Any] = {"prompt_id": str, "judge": str, "repeat": "int64", "label": str, "confidence": "float64"}
KEY = ["model", "intervention", "prompt_id"]


def prompt_confidence(params: StudyParams, prompt_ids: pd.Series[str]) -> pd.DataFrame:
    """The rows of `prompt_confidence`, prompts in their order; none where no primary judge gives a confidence."""
    tables = []
    for model in params.models:
        judge = params.judging.of(model).primary
        for condition in params.conditions(model):
            path = label_file(condition)
            if not _holds_any(path):
                continue
            labels = pd.read_csv(
                path,
                usecols=lambda name: name in READ,
                dtype=READ,
                keep_default_na=False,
                na_values={"confidence": [""]},
                float_precision="round_trip",
                encoding="utf-8-sig",
            ).reindex(columns=list(READ))
            first = labels[(labels["judge"] == judge) & (labels["repeat"] == 0) & labels["confidence"].notna()]
            place = {"model": model, "intervention": condition.intervention, "primary_judge": judge}
            tables.append(first.loc[first["label"] != "", ["prompt_id", "confidence"]].assign(**place))
    if not tables:
        return pd.DataFrame(columns=[*KEY, "primary_judge"])
    sure = pd.concat(tables, ignore_index=True)
    order = {prompt: place for place, prompt in enumerate(prompt_ids)}
    grouped: Any = sure.assign(place=sure["prompt_id"].map(order)).groupby([*KEY, "primary_judge", "place"], sort=False)
    agg: Any = {"n_with_confidence": "size", "mean_confidence": "mean", "lowest_confidence": "min"}
    table: pd.DataFrame = grouped["confidence"].agg(**agg).reset_index()
    rank = {name: place for place, name in enumerate([*params.models, *params.interventions])}
    ranks = table.assign(**{column: table[column].map(rank) for column in ("model", "intervention")})
    return table.loc[ranks.sort_values(["model", "intervention", "place"], kind="stable").index]


def _holds_any(path: Path) -> bool:
    """Whether a label file has any confidence: most studies have none, and one column is read faster than five."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "confidence" not in column_names(path):
        return False
    written = read_arrow(path, {"confidence": pa.string()}, ["confidence"])["confidence"]
    return bool(pc.any(pc.not_equal(written, "")).as_py())
