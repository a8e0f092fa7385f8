"""After `dvc repro`: the published figures beside ours, and the tables that a reader of that study would look for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd

from refusal_stability.files import PROMPTS, atomic_write, replication_page, replication_tables
from refusal_stability.params.load import load_params
from refusal_stability.replication.by_judge import tables_by
from refusal_stability.replication.comparison import (
    COMPARED,
    Labels,
    compare_figures,
    place_of,
    read_figures,
    records,
    scopes_of,
    statement,
    with_models_of,
)
from refusal_stability.replication.over_models import OVER_MODELS, over_models
from refusal_stability.replication.page import page
from refusal_stability.replication.pooling import POOLING, pooling
from refusal_stability.replication.runnable import labelled, read_study_file, runnable_study
from refusal_stability.replication.source import read_replication
from refusal_stability.report.content import Report
from refusal_stability.report.html import html_report
from refusal_stability.report.latex import latex_table
from refusal_stability.report.markdown import markdown_report
from refusal_stability.study.label_files import read_decisions, settings_of
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import PROMPT_TABLE


def run(name: str, params_path: Path) -> None:
    """Compare the figures file with the metric tables and write the page, its tables and the comparison as CSV."""
    entry = read_replication(name)
    params = load_params(params_path)
    primary, threshold = params.judging.primary, params.metrics.threshold
    study = read_study_file(entry.study)
    runnable = runnable_study(study, entry.data, primary)
    place = replication_tables(name)
    decisions = read_decisions(params, read_table(PROMPTS, PROMPT_TABLE))
    published = with_models_of(study, read_figures(entry.figures), entry.figures)
    alike = tuple(group for group in decisions.groups if group.primary == primary)
    # The metric tables hold the primary judge's figures, unless they also hold models of another primary judge.
    held = {primary} if len(alike) == len(decisions.groups) else set()
    others = sorted({place_of(figure, primary).primary for figure in records(published)} - {"", *held})
    pooled_models = over_models(decisions, scopes_of(published), threshold)
    built = {judge: tables_by(decisions, judge, settings_of(params.metrics)) for judge in others}

    @cache
    def tables(name: str, judge: str) -> pd.DataFrame:
        if name == "over_models":
            return pooled_models
        return built[judge][name] if judge in built else metric_table(name)

    compared = compare_figures(
        published, tables, primary, runnable.absent, Labels(labelled(study), labelled(runnable.params))
    )
    pooled = pooling(replace(decisions, groups=alike), threshold) if entry.source.pooling else None
    for judge, by_name in built.items():
        for metric, table in by_name.items():
            path, contract = METRIC_TABLES[metric]
            write_table(table, place / f"by_{judge}" / path.name, contract)
    write_table(compared, place / "comparison.csv", COMPARED)
    if len(pooled_models):
        write_table(pooled_models, place / "over_models.csv", OVER_MODELS)
    if pooled is not None:
        write_table(pooled, place / "pooling.csv", POOLING)
    n_responses = len(params.sampling.temperatures) * len(params.sampling.seeds)
    _write(name, page(entry, runnable, compared, pooled, tables, n_responses, threshold))
    for line in statement(compared):
        print(line)
    print(replication_page(name))


def _write(name: str, content: Report) -> None:
    place = replication_tables(name)
    texts = {replication_page(name): markdown_report(content), place / f"{name}.html": html_report(content)}
    # A paper may input these beside the report's own tables, so no label is one of those.
    by_file = {table.name: replace(table, name=f"{name}-{table.name}") for table in content.tables}
    texts |= {place / "latex" / f"{file}.tex": latex_table(table) for file, table in by_file.items()}
    for path, text in texts.items():
        with atomic_write(path) as file:
            file.write(text)
