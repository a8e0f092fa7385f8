"""A pilot's labels -> the designs that give the narrowest interval for a budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refusal_stability.measures.design import NESTED, best_designs
from refusal_stability.measures.phrasing import phrased_intents, phrasing_components
from refusal_stability.params.load import load_params
from refusal_stability.records import DECISIONS, StudyError
from refusal_stability.study.label_files import read_decisions, read_prompts
from refusal_stability.tables.layout import as_text, laid_out, numbers

SHOWN = 8
TITLES = {
    "language": "languages",
    "phrasing": "phrasings",
    "temperature": "temperatures",
    "seed": "seeds",
    "judge": "judge repeats",
}


def run(
    model: str,
    intervention: str,
    decision: str,
    budget: float,
    most_intents: int | None,
    judge_cost: float,
    prompt_cost: float,
    params_path: Path,
) -> None:
    """Print a pilot's variance components and the designs that a budget buys."""
    if decision not in map(str, DECISIONS):
        raise StudyError(f"--decision: {decision!r} is not allowed; one of {', '.join(map(str, DECISIONS))}")
    for option, value in (("--budget", budget), ("--judge-cost", judge_cost), ("--prompt-cost", prompt_cost)):
        if not 0 <= value < float("inf"):
            raise StudyError(f"{option}: {value:g} is not allowed; a number of responses, 0 or more")
    params, prompts = load_params(params_path), read_prompts()
    study = read_decisions(params, prompts)
    group = next((g for g in study.groups if (g.model, g.intervention) == (model, intervention)), None)
    if group is None:
        known = ", ".join(f"{g.model}/{g.intervention}" for g in study.groups)
        raise StudyError(f"the pilot: no {model}/{intervention} in the study; there are {known}")
    codes = group.decisions[group.primary]
    # A prompt without an intent is one of its own.
    own = np.array([intent or f"\0{i}" for i, intent in enumerate(prompts["intent"])], dtype=object)
    # The share of one decision: 0 is that decision, 2 any other one.
    binary = np.where(codes < 0, codes, np.where(codes == list(map(str, DECISIONS)).index(decision), 0, 2))
    found = phrased_intents(binary.astype(np.int8), own, prompts["language"].to_numpy(object))
    n_intents = int((found.n > 0).sum())
    if n_intents < 2 or not found.levels:
        raise StudyError(f"the pilot of {model}/{intervention}: two intents with two decisions each are the least")
    # Of a yes-or-no decision the Gini variance is twice the variance of the indicator.
    values = phrasing_components(found, np.ones((1, len(found.n))))[0] / 2
    variance = dict(zip(("intent", *found.levels), values[:-1].tolist(), strict=True))
    confidence = params.metrics.confidence
    designs = best_designs(variance, budget, most_intents or n_intents, judge_cost, prompt_cost, confidence, SHOWN)
    if not designs:
        raise StudyError(f"--budget: {budget:g} responses do not pay for two intents; give more, or lower the costs")
    share = values[:-1] / values[-1]
    print(f"{model}/{intervention}: variance of {decision} by source, from {n_intents} intents")
    print("  " + ", ".join(f"{name} {part:.1%}" for name, part in zip(variance, share, strict=True)))
    levels = [level for level in NESTED if level in variance]
    columns = [
        numbers("intents", lambda row: f"{row['intents']:,}"),
        *(numbers(TITLES[level], lambda row, level=level: str(row[level])) for level in levels),  # type: ignore[misc]
        numbers("cost", lambda row: f"{row['cost']:,.0f}"),
        numbers("half-width", lambda row: f"{row['half_width']:.4f}"),
    ]
    rows = [{"intents": d.intents, "cost": d.cost, "half_width": d.half_width, **d.sizes} for d in designs]
    print(
        "\n" + as_text(laid_out("designs", f"Narrowest {confidence:.0%} intervals of the mean share:", rows, *columns))
    )
    print("\nhalf-width: projected from the components, in the normal limit; cost: in responses")
    absent = [TITLES[level] for level in NESTED if level not in variance]
    if absent:
        print(f"Not varied, because the pilot has one of each: {', '.join(absent)}")
