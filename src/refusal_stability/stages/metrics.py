"""Labels -> every metric table, the column dictionary, and the headline numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from refusal_stability.files import METRICS_README, SUMMARY, atomic_write, write_json
from refusal_stability.judge_report.against_people import people_tables
from refusal_stability.measures.tables.summary import summary
from refusal_stability.params.load import load_params
from refusal_stability.study.confidence import prompt_confidence
from refusal_stability.study.label_files import read_decisions, read_prompts, settings_of
from refusal_stability.study.metric_files import write_metric_tables
from refusal_stability.study.sampled import read_sampled
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.metrics import column_dictionary, metric_table
from refusal_stability.tables.optional import OPTIONAL_TABLES


def run(params_path: Path) -> None:
    """Compute and write every table of the study that `params_path` describes.

    BLAS keeps to one core. Its matrices are small here, so that a second core mostly waited for the first, and sums
    that it splits among cores round differently. The second core builds other tables instead.
    """
    with threadpool_limits(1, user_api="blas"):
        _compute(params_path)


def _compute(params_path: Path) -> None:
    params = load_params(params_path)
    study = read_decisions(params, read_prompts())
    write_metric_tables(study, settings_of(params.metrics), read_sampled(params, study))
    write_json(summary(params.study, metric_table("aggregate_by_model"), study.groups), SUMMARY)
    optional = people_tables(params) | {"prompt_confidence": prompt_confidence(params, pd.Series(study.prompt_ids))}
    for name, (path, contract) in OPTIONAL_TABLES.items():
        table = pd.DataFrame(optional.get(name, ()), columns=list(contract.columns))
        if table.empty:
            path.unlink(missing_ok=True)
        else:
            write_table(table, path, contract)
    with atomic_write(METRICS_README) as file:
        file.write(column_dictionary())
