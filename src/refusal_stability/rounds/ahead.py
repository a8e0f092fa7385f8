"""How many samples the rounds to come will take, where `sampling.adaptive` names predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from refusal_stability.measures.adaptive.expected import expected_spending
from refusal_stability.params.adaptive import order_of
from refusal_stability.params.study import StudyParams
from refusal_stability.study.predicted import predicted_instability
from refusal_stability.study.sampled import stopping_rule_of


def expected_share(params: StudyParams, model: str, prompt_ids: Sequence[str]) -> float | None:
    """The share of a model's grid that its rounds are expected to take; None where nothing about it is predicted.

    Interventions have equal grids, so theirs are averaged. One without predictions counts as the mean of the others.
    """
    ((name, chosen),) = params.sampling.adaptive.items()
    if chosen.predictions is None:
        return None
    path, shares = Path(chosen.predictions), []
    for number, intervention in enumerate(params.interventions):
        flipping, unstable = (
            np.array([told.get(prompt, np.nan) for prompt in prompt_ids])
            for told in (predicted_instability(model, intervention, event, path) for event in ("p_flip", "p_unstable"))
        )
        if np.isnan(unstable).all():
            continue
        rng = np.random.default_rng([chosen.seed, number])
        grid = (params.sampling.temperatures, len(params.sampling.seeds))
        shares.append(
            expected_spending(flipping, unstable, *grid, stopping_rule_of(params), order_of(name, chosen), rng)
        )
    return float(np.mean(shares)) if shares else None
