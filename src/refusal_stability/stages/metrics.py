"""Labels -> every metric table, the column dictionary, and the headline numbers."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.artifacts import (
    METRIC_TABLES,
    METRICS_README,
    SUMMARY,
    atomic_write,
    column_dictionary,
    write_json,
    write_table,
)
from refusal_stability.label_grid import read_prompts, read_study, settings_of
from refusal_stability.measures.tables import build_tables
from refusal_stability.measures.tables.summary import summary
from refusal_stability.params import load_params


def run(params_path: Path) -> None:
    """Compute and write every table of the study that `params_path` describes."""
    params = load_params(params_path)
    study = read_study(params, read_prompts())
    for name, table in build_tables(study, settings_of(params.metrics)):
        path, contract = METRIC_TABLES[name]
        write_table(table.reindex(columns=list(contract.columns)) if table.empty else table, path, contract)
        if name == "aggregate_by_model":
            write_json(summary(params.study, table), SUMMARY)
    with atomic_write(METRICS_README) as file:
        file.write(column_dictionary())
