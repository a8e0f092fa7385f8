"""A pilot's tables -> how many labels correct its stability for a judge's errors."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from refusal_stability.measures.judge_error import LEAST_LABELS
from refusal_stability.measures.judge_error_coverage import MOSTLY, PLANNED_STUDIES, behind, widths_by_labels
from refusal_stability.measures.latent_decisions import FIGURES
from refusal_stability.measures.power import check_pilot
from refusal_stability.params.load import load_params
from refusal_stability.records import DECISIONS, StudyError
from refusal_stability.report.console import FIGURE_NAMES
from refusal_stability.study.sides import group_rows
from refusal_stability.tables.layout import as_text, laid_out, numbers
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.number_format import Row

LABELS = [50, 100, 200, 400, 800, 1_600, 3_200]


def run(model: str, intervention: str, figure: str, judge_error: float, half_width: float, params_path: Path) -> None:
    """Print the interval's half width by the number of labels, and the fewest that reach the wanted one."""
    if figure not in FIGURE_NAMES:
        raise StudyError(f"--figure: {figure!r} is not allowed; one of {', '.join(FIGURE_NAMES)}")
    for option, value, most in (("--judge-error", judge_error, 0.5), ("--half-width", half_width, 1.0)):
        if not 0 < value < most:
            raise StudyError(f"{option}: {value} is not allowed; a number between 0 and {most:g}")
    params = load_params(params_path)
    row = group_rows(metric_table("aggregate_by_model"), model, intervention, "the pilot").iloc[0]
    n_prompts = int(row["n_prompts"])
    each = row["n_responses"] / max(n_prompts, 1)
    check_pilot(n_prompts, each, round(row["pct_flipped"] / 100 * n_prompts), f"{model}/{intervention}")
    table = metric_table("per_prompt_metrics")
    pilot = table[(table["model"] == model) & (table["intervention"] == intervention) & (table["n"] > 0)]
    counts = pilot[[f"n_{decision.word}" for decision in DECISIONS]].to_numpy(np.int64)
    true_shares = behind(counts, judge_error)
    widths = widths_by_labels(true_shares, n_prompts, round(each), judge_error, LABELS, params.metrics.seed)
    place = FIGURES.index(figure)
    reached = [n for n, (_, _, mostly) in zip(LABELS, widths, strict=True) if mostly[place] <= half_width]
    rows = [
        {"labels": n, "usable": usable} | dict(zip(FIGURES, width, strict=True))
        for n, (width, usable, _) in zip(LABELS, widths, strict=True)
    ]
    columns = [numbers("labels", lambda row: f"{row['labels']:,}")]
    columns += [numbers(f"{name} +-", partial(_shown, name)) for name in FIGURES]
    columns += [numbers("usable", lambda row: f"{row['usable']:.0%}")]
    title = (
        f"Half width of the corrected 95 % intervals: {n_prompts} prompts, {round(each)} responses each, a judge that "
        f"errs on {judge_error:.0%}:"
    )
    print(as_text(laid_out("labels", title, rows, *columns)))
    answer = (
        f"{reached[0]:,} randomly drawn labels are enough"
        if reached
        else f"not even {LABELS[-1]:,} labels are enough: take more prompts"
    )
    print(f"For {FIGURE_NAMES[figure]} within {half_width:g}: {answer}.")
    print(
        f"Means of {PLANNED_STUDIES} simulated studies. Enough: {MOSTLY:.0%} of these reach the half width.\n"
        f"usable: share of the draws of labels with {LEAST_LABELS} of each decision; others are not corrected.\n"
        "True shares are those behind the pilot's decisions with this error. "
        "Errors are independent given the true decision: docs/method.md."
    )


def _shown(name: str, row: Row) -> str:
    return f"{row[name]:.3f}" if np.isfinite(row[name]) else "-"
