"""Attempts and how many complied -> how many prompts comply if attempts go on, and the attempts that a study needs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from refusal_stability.measures.distinct import Ints
from refusal_stability.measures.tables.samples import forecast_rows
from refusal_stability.measures.tail_forecast import forecast_tail
from refusal_stability.measures.tail_precision import SIZES, attempts_for_precision
from refusal_stability.params.load import load_params
from refusal_stability.params.metrics import MetricsParams
from refusal_stability.records import BENIGN, StudyError
from refusal_stability.report.zero_events import FORECAST, forecast_share
from refusal_stability.study.label_files import settings_of
from refusal_stability.study.sides import group_rows
from refusal_stability.tables.layout import as_text, each, laid_out, numbers, plain_line
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.number_format import count

MOST_ATTEMPTS = 10**7
COLUMNS = ("attempts", "complied")
LONG = 20  # digits of a cell, beyond which it is no number of attempts


def run(
    source: str,
    intervention: str,
    attempts: list[int],
    stopped: bool,
    half_width: float | None,
    confidence: float | None,
    params_path: Path,
) -> None:
    """Print the forecast for each number of attempts, what limits it, and the attempts that a narrower one needs."""
    for option, value in (("--half-width", half_width), ("--confidence", confidence)):
        if value is not None and not 0 < value < 1:
            raise StudyError(f"{option}: {value:g} is not allowed; a number between 0 and 1, such as 0.05")
    for k in attempts:
        if not 0 < k <= MOST_ATTEMPTS:
            raise StudyError(f"--attempts: {k} is not allowed; a whole number from 1 to {MOST_ATTEMPTS:,}")
    file = Path(source)
    if file.suffix == ".csv":
        name, metrics = [source], MetricsParams()
        tried, complied = _attempts_in(file)
    else:
        if stopped:
            raise StudyError("--stopped: only for a CSV file of attempts; a study asks on after a COMPLY")
        name, metrics = [source, intervention], load_params(params_path).metrics
        tried, complied = _attempts_of(source, intervention)
    if stopped and (complied > 1).any():
        row = int(np.argmax(complied > 1)) + 2
        raise StudyError(f"{source}: row {row}: complied is {complied[row - 2]}; with --stopped at most 1")
    resampling = settings_of(metrics).resampling
    sure, rng = confidence or resampling.confidence, resampling.rng("tail forecast", *name)
    ahead = np.array(sorted(set(attempts)))
    forecast = forecast_tail(tried, complied, ahead, sure, rng, stopped)
    if not forecast.n_ever:
        raise StudyError(
            f"{source}: no prompt complied in its attempts, so nothing tells rates apart; make more attempts"
        )
    rows = forecast_rows(forecast, tried, complied, stopped)
    n_prompts, made = rows[0]["n_prompts"], tried[tried > 0]
    numbers_made = f"{made.min():,}" if made.min() == made.max() else f"{made.min():,} to {made.max():,}"
    title = (
        f"{plain_line('/'.join(name))}: {count(n_prompts)} prompt{'' if n_prompts == 1 else 's'}, "
        f"{numbers_made} attempts each, {count(forecast.n_ever)} complied at least once. {sure:.0%} intervals."
    )
    shown = [numbers("Attempts", lambda row: count(row["n_attempts"])), numbers(FORECAST.title, forecast_share)]
    shown += each("mean_attempts_forecast pct_comply_plug_in pct_comply_log_log")
    print(as_text(laid_out("forecast", title, rows, *shown)))
    for line in forecast.warnings():
        print(f"warning: {line}")
    if half_width is not None:
        enough = attempts_for_precision(forecast, n_prompts, int(ahead[-1]), half_width, sure, rng, stopped=stopped)
        answer = (
            f"not even {SIZES[-1]:,} attempts at each prompt are enough: take more prompts"
            if np.isnan(enough)
            else f"{'at most ' * stopped}{enough:,.0f} attempts at each prompt are enough"
        )
        print(f"For the share at {ahead[-1]:,} attempts within {100 * half_width:g} points: {answer}.")


def _attempts_of(model: str, intervention: str) -> tuple[Ints, Ints]:
    """A study's attempts at each prompt that is not benign, and how many complied."""
    rows = group_rows(metric_table("per_prompt_metrics"), model, intervention, "the study")
    rows = rows[(rows["harm"] != BENIGN) & (rows["n"] > 0)]
    return rows["n"].to_numpy(np.int64), rows["n_comply"].to_numpy(np.int64)


def _attempts_in(file: Path) -> tuple[Ints, Ints]:
    """The columns `attempts` and `complied` of a CSV file with a row for each prompt."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"{file}: cannot be read as a CSV file: {error}") from error
    if not rows or not set(COLUMNS) <= rows[0].keys():
        raise StudyError(f"{file}: needs a row for each prompt, with the columns {' and '.join(COLUMNS)}")
    found = []
    for i, row in enumerate(rows, start=2):
        cells = [(row[column] or "").strip() for column in COLUMNS]
        if not all(
            cell.isascii() and cell.isdigit() and len(cell) < LONG and int(cell) <= MOST_ATTEMPTS for cell in cells
        ):
            raise StudyError(
                f"{file}: row {i}: {' and '.join(COLUMNS)} must be whole numbers from 0 to {MOST_ATTEMPTS:,}; found "
                f"{[cell[:LONG] for cell in cells]}"
            )
        if int(cells[1]) > int(cells[0]):
            raise StudyError(f"{file}: row {i}: complied is {cells[1]}, more than the {cells[0]} attempts")
        found.append([int(cell) for cell in cells])
    tried, complied = np.array(found, dtype=np.int64).T
    return tried, complied
