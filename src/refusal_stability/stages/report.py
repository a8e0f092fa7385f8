"""Metric tables and figures -> the report as HTML and Markdown, LaTeX tables, and numbers as macros."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.engines.ran_with import engines_that_ran
from refusal_stability.figures.gallery import GALLERY
from refusal_stability.figures.series import series_of
from refusal_stability.files import FIGURES, PROMPTS, REPORT, STORE, TABLES, ArtifactError, atomic_write, write_pages
from refusal_stability.params.load import load_params, text_read
from refusal_stability.report.build import build_report
from refusal_stability.report.content import Picture
from refusal_stability.report.html import html_report
from refusal_stability.report.interventions import effects
from refusal_stability.report.latex import latex_macros, latex_table
from refusal_stability.report.latex_numbers import study_numbers
from refusal_stability.report.markdown import markdown_report
from refusal_stability.report.report_inputs import ReportInputs, caption_of
from refusal_stability.report.versions import ran_with
from refusal_stability.report.warnings import print_warnings
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.optional import tables_so_far
from refusal_stability.tables.study import PROMPT_TABLE

NUMBERS = "numbers.tex"


def run(params_path: Path) -> None:
    """Write reports/report.html, reports/report.md and exactly this study's reports/tables."""
    inputs = read_inputs(params_path)
    report = build_report(inputs)
    print_warnings(inputs)
    for sentence in effects(inputs):
        print(sentence)
    for path, text in ((REPORT, html_report(report)), (REPORT.with_suffix(".md"), markdown_report(report))):
        with atomic_write(path) as file:
            file.write(text)
    pages = {f"{table.name}.tex": latex_table(table) for table in report.tables}
    write_pages(TABLES, pages | {NUMBERS: latex_macros(study_numbers(inputs))})


def read_inputs(params_path: Path) -> ReportInputs:
    """All that the report is written from; a metric table that no figure shows is left to the report to miss."""
    series_set = series_of(params := load_params(params_path), prompts := read_table(PROMPTS, PROMPT_TABLE))
    tables = tables_so_far()
    tables |= {name: metric_table(name) for figure in GALLERY for name in figure.tables if name not in tables}
    pictures = {}
    for figure in (figure for figure in GALLERY if figure.belongs_to(tables)):
        path = FIGURES / f"{figure.name}.png"
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file; run the stage that draws it (`dvc repro figures`)")
        said = (figure.finding(tables, series_set), figure.alt_text(tables, series_set))
        about = (figure.name, figure.section, figure.title, caption_of(figure.caption, figure.tables, params))
        pictures[figure.name] = Picture(*about, *said, path.read_bytes())
    return ReportInputs(
        params=params,
        params_text=text_read(params_path),
        prompts=prompts,
        tables=tables,
        pictures=pictures,
        labels={(one.model, one.intervention): one.label for one in series_set.series},
        ran=ran_with(engines_that_ran(STORE, (*params.models, *params.judging.judges))),
    )
