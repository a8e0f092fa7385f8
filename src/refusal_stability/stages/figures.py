"""Metric tables -> every figure, as PNG and PDF."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.figures.gallery import GALLERY
from refusal_stability.figures.pages import study_pages
from refusal_stability.figures.series import series_of
from refusal_stability.files import FIGURES, PROMPTS, write_pages
from refusal_stability.params.load import load_params
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.study import PROMPT_TABLE


def run(params_path: Path) -> None:
    """Draw each figure of the gallery that the study has into reports/figures and remove what else lies there."""
    series_set = series_of(load_params(params_path), read_table(PROMPTS, PROMPT_TABLE))
    tables = {name: metric_table(name) for name in sorted({name for figure in GALLERY for name in figure.tables})}
    write_pages(FIGURES, study_pages(tables, series_set))
