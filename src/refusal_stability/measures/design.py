"""Which design gives the narrowest interval for a budget: projected from a pilot's variance components."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from scipy import stats

NESTED = ("language", "phrasing", "temperature", "seed", "judge")
MOST = {"language": 5, "phrasing": 10, "temperature": 5, "seed": 20, "judge": 5}


@dataclass(frozen=True)
class Design:
    """A design and what it is projected to give.

    Attributes
    ----------
    intents : how many intents.
    sizes : level -> how many of it within one of the level around it.
    cost : of the whole design, in responses.
    half_width : projected half of the interval of the mean share.
    """

    intents: int
    sizes: Mapping[str, int]
    cost: float
    half_width: float


def half_width(variance: Mapping[str, float], intents: int, sizes: Mapping[str, int], confidence: float) -> float:
    """Projected half-width of the interval of a mean share, in the normal limit.

    Parameters
    ----------
    variance : component -> variance of the decision's indicator; a negative one counts as 0.
    intents, sizes : the design.
    confidence : e.g. 0.95.

    Returns
    -------
    `z sqrt(V_intent / I + V_language / (I L) + V_phrasing / (I L F) + ...)`.

    References
    ----------
    Searle, Casella & McCulloch (1992), Variance Components, ch. 3, doi:10.1002/9780470316856
    """
    number, total = float(intents), max(variance["intent"], 0.0) / intents
    for level in NESTED:
        number *= sizes.get(level, 1)
        total += max(variance.get(level, 0.0), 0.0) / number
    return float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(total)


def best_designs(
    variance: Mapping[str, float],
    budget: float,
    most_intents: int,
    judge_cost: float,
    prompt_cost: float,
    confidence: float,
    n: int,
) -> list[Design]:
    """The designs with the narrowest projected intervals that a budget pays for.

    Parameters
    ----------
    variance : as `half_width` takes it. Only the levels that it names are varied.
    budget : in responses: one is the price of one response.
    most_intents : intents that there are.
    judge_cost, prompt_cost : the price of one judgement and of writing one prompt, in responses.
    confidence : of the interval.
    n : how many designs to give.

    Returns
    -------
    The narrowest first; of equally narrow ones (to 0.1 %) the cheaper. Empty where the budget does not pay
    for two intents.
    """
    found = list(_affordable(variance, budget, most_intents, judge_cost, prompt_cost, confidence))
    found.sort(key=lambda d: (math.floor(math.log(max(d.half_width, 1e-12)) * 1000), d.cost, d.half_width))
    return found[:n]


def _affordable(
    variance: Mapping[str, float],
    budget: float,
    most_intents: int,
    judge_cost: float,
    prompt_cost: float,
    confidence: float,
) -> Iterator[Design]:
    levels = [level for level in NESTED if level in variance]
    for numbers in product(*(range(1, MOST[level] + 1) for level in levels)):
        sizes = dict(zip(levels, numbers, strict=True))
        prompts = sizes.get("language", 1) * sizes.get("phrasing", 1)
        responses = prompts * sizes.get("temperature", 1) * sizes.get("seed", 1)
        cost = prompts * prompt_cost + responses * (1 + judge_cost * sizes.get("judge", 1))
        intents = min(most_intents, int(budget // cost))
        if intents >= 2:
            yield Design(intents, sizes, intents * cost, half_width(variance, intents, sizes, confidence))
