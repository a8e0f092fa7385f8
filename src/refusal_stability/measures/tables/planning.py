"""The table of planned studies: how many prompts, responses and tokens for several numbers of samples a prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.estimates import Resampling, Row
from refusal_stability.measures.power import prompt_pool, smallest_study

SAMPLES = (3, 5, 10, 20, 40)


def planned_studies(
    prior: Floats,
    pilot_samples: int,
    figure: str,
    difference: float,
    power: float,
    tokens_per_response: float,
    resampling: Resampling,
    scope: Sequence[object],
) -> list[Row]:
    """A row for each of `SAMPLES` and the pilot's own number, with related sides and with unrelated ones.

    Parameters
    ----------
    prior, pilot_samples, figure, difference, power : as `measures.power` has them.
    tokens_per_response : how long a response is.
    resampling, scope : the level of the test, and what the plan's random numbers are named for.

    Returns
    -------
    rows with `related`, `samples`, `prompts`, `responses`, `tokens` (of both sides; these three None where a million
    prompts do not reach the power), `power` and `difference_seen`.
    """
    pool = prompt_pool(prior, pilot_samples, figure, difference, resampling.rng("power", *scope, figure, difference))
    rows = []
    for related in (True, False):
        for samples in sorted({*SAMPLES, pilot_samples}):
            rng = resampling.rng("power", *scope, figure, difference, samples, related)
            found = smallest_study(pool, samples, figure, power, resampling.confidence, rng, related)
            responses = None if found.n_prompts is None else 2 * samples * found.n_prompts
            rows.append(
                {
                    "related": related,
                    "samples": samples,
                    "prompts": found.n_prompts,
                    "responses": responses,
                    "tokens": None if responses is None else int(np.ceil(responses * tokens_per_response)),
                    "power": found.power,
                    "difference_seen": found.difference,
                }
            )
    return rows
