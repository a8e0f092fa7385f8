"""A pilot's tables -> how many prompts, samples and tokens a study needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.artifacts import GENERATION_TABLE, generation_file, metric_table, read_table
from refusal_stability.label_grid import settings_of
from refusal_stability.measures.power import FIGURES, Plan, plan
from refusal_stability.params import StudyParams, load_params
from refusal_stability.records import StudyError

SAMPLES = (3, 5, 10, 20, 40)
NAMES = {"ssi": "mean SSI", "flip": "the share of flipped prompts"}
MEANINGS = {
    True: "Where every prompt moves (one model at two temperatures or with an intervention)",
    False: "Where the two sides waver on different prompts (two unrelated models, the worst case)",
}
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
    params = load_params(params_path)
    row = pilot_row(model, intervention)
    prior = np.array([row["prior_refuse"], row["prior_partial"], row["prior_comply"]], dtype=np.float64)
    pilot_samples = max(2, round(row["n_responses"] / row["n_prompts"]))
    tokens = tokens_per_response or _tokens_per_response(params, model, intervention)
    resampling = settings_of(params.metrics).resampling
    print(
        f"To detect {difference:+g} in {NAMES[figure]}, as {pilot_samples} samples a prompt show it, power {power:g}:"
    )
    for related, meaning in MEANINGS.items():
        lines = []
        for n_samples in sorted({*SAMPLES, pilot_samples}):
            rng = resampling.rng("power", model, intervention, figure, difference, n_samples, related)
            found = plan(
                prior, pilot_samples, n_samples, figure, difference, power, resampling.confidence, rng, related
            )
            lines.append(_line(found, tokens))
        print(f"\n{meaning}:")
        print(pd.DataFrame(lines).to_string(index=False))
    print(f"\nTokens at {tokens:.0f} a response. Prompts like the pilot's {row['n_prompts']}, the same on both sides.")


def _line(found: Plan, tokens: float) -> dict[str, str]:
    responses = 2 * found.n_samples * (found.n_prompts or 0)
    return {
        "samples a prompt": str(found.n_samples),
        "prompts": f"{found.n_prompts:,}" if found.n_prompts else "over 1,000,000",
        "responses, both sides": f"{responses:,}" if responses else "",
        "tokens": f"{responses * tokens:,.0f}" if responses else "",
        "power": f"{found.power:.2f}",
        "difference seen": f"{found.difference:+.4f}",
    }


def pilot_row(model: str, intervention: str) -> pd.Series[Any]:
    """The pilot's row of aggregate_by_model."""
    table = metric_table("aggregate_by_model")
    found = table[(table["model"] == model) & (table["intervention"] == intervention)]
    if not len(found):
        known = ", ".join(f"{m}/{v}" for m, v in table[["model", "intervention"]].itertuples(index=False))
        raise StudyError(f"{model}/{intervention}: not in the pilot's tables; there are {known}")
    row = found.iloc[0]
    if not row["n_prompts"]:
        raise StudyError(f"{model}/{intervention}: the pilot has no decision; run `dvc repro metrics` on one that has")
    return row


def _tokens_per_response(params: StudyParams, model: str, intervention: str) -> float:
    """Estimated from the length of the pilot's own responses, or the limit where it has none."""
    lengths = [
        read_table(path, GENERATION_TABLE)["response"].str.len().mean() / CHARACTERS_PER_TOKEN
        for condition in (params.conditions(model) if model in params.models else ())
        if condition.intervention == intervention and (path := generation_file(condition)).is_file()
    ]
    estimate = float(np.mean(lengths)) if lengths else 0.0
    return estimate or float(params.sampling.max_tokens)
