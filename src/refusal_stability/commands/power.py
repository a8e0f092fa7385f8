"""A pilot's tables -> how many prompts, samples and tokens a study needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refusal_stability.files import generation_file
from refusal_stability.measures.power import FIGURES, check_pilot
from refusal_stability.measures.tables.planning import planned_studies
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.records import DECISIONS, StudyError
from refusal_stability.report.console import plan_text
from refusal_stability.study.label_files import settings_of
from refusal_stability.study.sides import group_rows
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.study import GENERATION_TABLE

CHARACTERS_PER_TOKEN = 4  # a rule of thumb for English; a measured number of tokens can be given instead


def run(
    model: str,
    intervention: str,
    figure: str,
    difference: float,
    power: float,
    tokens_per_response: float | None,
    params_path: Path,
) -> None:
    """Print, for several numbers of samples a prompt, the least number of prompts that detects the difference."""
    if figure not in FIGURES:
        raise StudyError(f"--figure: {figure!r} is not allowed; one of {', '.join(FIGURES)}")
    if not 0 < power < 1:
        raise StudyError(f"--power: {power} is not allowed; a number between 0 and 1, such as 0.8")
    if tokens_per_response is not None and not tokens_per_response > 0:
        raise StudyError(f"--tokens-per-response: {tokens_per_response} is not allowed; a number over 0")
    params = load_params(params_path)
    row = group_rows(metric_table("aggregate_by_model"), model, intervention, "the pilot").iloc[0]
    if not row["n_prompts"]:
        raise StudyError(f"{model}/{intervention}: the pilot has no decision; run `dvc repro metrics` on one that has")
    prior = np.array([row[f"prior_{decision.word}"] for decision in DECISIONS], dtype=np.float64)
    each, flipped = row["n_responses"] / row["n_prompts"], round(row["pct_flipped"] / 100 * row["n_prompts"])
    check_pilot(int(row["n_prompts"]), each, flipped, f"{model}/{intervention}")
    samples = round(each)
    tokens = tokens_per_response or _tokens_per_response(params, model, intervention)
    resampling = settings_of(params.metrics).resampling
    rows = planned_studies(prior, samples, figure, difference, power, tokens, resampling, (model, intervention))
    confidence, prompts = resampling.confidence, int(row["n_prompts"])
    print(plan_text(rows, figure, difference, power, confidence, samples, prompts, tokens))


def _tokens_per_response(params: StudyParams, model: str, intervention: str) -> float:
    """Estimated from the length of the pilot's own responses, or the limit where it has none."""
    lengths = [
        read_table(path, GENERATION_TABLE)["response"].str.len().mean() / CHARACTERS_PER_TOKEN
        for condition in (params.conditions(model) if model in params.models else ())
        if condition.intervention == intervention and (path := generation_file(condition)).is_file()
    ]
    estimate = float(np.mean(lengths)) if lengths else 0.0
    return estimate or float(params.sampling.max_tokens)
