"""A study's tables as they would be if another of its judges were the primary one."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.tables import build_tables
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.tables.metrics import METRIC_TABLES


def tables_by(study: DecisionArrays, judge: str, settings: Settings) -> dict[str, pd.DataFrame]:
    """Every metric table with `judge`'s decisions, of the models of which it decided any; empty tables where none."""
    groups = tuple(
        replace(group, primary=judge)
        for group in study.groups
        if judge in group.decisions and (group.first(judge) >= 0).any()
    )
    built = dict(build_tables(replace(study, groups=groups), settings)) if groups else {}
    return {
        name: built.get(name, pd.DataFrame()).reindex(columns=list(contract.columns))
        for name, (_, contract) in METRIC_TABLES.items()
    }
