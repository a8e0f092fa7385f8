"""How large a study must be, by simulation from a pilot.

The pilot gives a Dirichlet distribution of prompts' true decision shares (`posterior.fit_dirichlet`). The second side
of the planned comparison asks the same prompts. Every prompt's shares there are sharpened or flattened: raised to one
exponent and renormalised, as a temperature does to token probabilities. The exponent is chosen so that the figure
differs by what is to be detected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import gammaln

from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.reliability import compositions
from refusal_stability.measures.stability import flips, ssi
from refusal_stability.records import StudyError

FIGURES: dict[str, Callable[[Ints], Floats]] = {"ssi": ssi, "flip": lambda counts: flips(counts).astype(np.float64)}
FLATTEST, SHARPEST = 1e-3, 50.0
POOL = 400_000
EXACT_CELLS, FEWEST_EXACT = 1 << 22, 2_000  # prompts x outcomes that exact expectations are taken over
STUDIES = 10_000
LEAST_PROMPTS, MOST_PROMPTS = 8, 1_000_000
FEWEST_PILOT, FEWEST_FLIPPED = 20, 3
ADDED = 1e-12  # keeps the logarithm of a share that underflowed finite


@dataclass(frozen=True)
class StudySize:
    """A study that reaches the power asked for.

    Attributes
    ----------
    n_samples : samples a prompt.
    n_prompts : the least number of prompts, from 8 on; None where none up to a million reaches the power.
    power : the chance of detecting the difference with that many.
    difference : expected measured difference at `n_samples` samples a prompt, second side minus first.
    """

    n_samples: int
    n_prompts: int | None
    power: float
    difference: float


@dataclass(frozen=True)
class Pool:
    """Many prompts like the pilot's: true decision shares (M, K) on the first side, and on the second."""

    first: Floats
    second: Floats


def tempered(shares: Floats, exponent: float) -> Floats:
    """Shares raised to an exponent and renormalised.

    Parameters
    ----------
    shares : (M, K) true decision shares.
    exponent : above 1 sharpens the shares (more stable), below 1 flattens them.

    Returns
    -------
    (M, K) each row sums to 1.
    """
    logs = exponent * np.log(shares + ADDED)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def expected_figure(shares: Floats, n: int, figure: str) -> float:
    """Mean over prompts of the exact expectation of SSI, or of the chance of a flip, in n samples.

    Parameters
    ----------
    shares : (M, K) true decision shares.
    n : samples a prompt.
    figure : `ssi` or `flip`.

    Returns
    -------
    In [1/K, 1] for `ssi`, [0, 1] for `flip`.
    """
    if figure == "flip":
        return float(1 - (shares**n).sum(axis=1).mean())
    drawn = compositions(n)
    coefficients = gammaln(n + 1) - gammaln(drawn + 1).sum(axis=1)
    chances = np.exp(coefficients + np.log(shares + ADDED) @ drawn.T)
    return float((chances @ (drawn.max(axis=1) / n)).mean())


def exponent_for(shares: Floats, n: int, figure: str, difference: float) -> float:
    """The exponent of the shares that moves the figure by `difference`.

    Parameters
    ----------
    shares : (M, K) true decision shares.
    n : samples a prompt.
    figure : `ssi` or `flip`.
    difference : what the exponent must add to the expected figure.

    Returns
    -------
    The exponent, to 1e-4.

    Raises
    ------
    StudyError
        Where no sharpening or flattening moves the figure that far.
    """
    own = expected_figure(shares, n, figure)

    def miss(exponent: float) -> float:
        return expected_figure(tempered(shares, exponent), n, figure) - own - difference

    ends = (miss(FLATTEST), miss(SHARPEST))
    if min(ends) > 0 or max(ends) < 0:
        reach = sorted(end + difference for end in ends)
        raise StudyError(
            f"difference {difference:+.3g} in {figure} cannot occur: from the pilot's {own:.3f} it can change by "
            f"{reach[0]:+.3f} to {reach[1]:+.3f}; ask for a difference between them"
        )
    return float(brentq(miss, FLATTEST, SHARPEST, xtol=1e-4))


def power_of(differences: Floats, weights: Ints, n_prompts: int, confidence: float, rng: np.random.Generator) -> float:
    """Share of simulated studies whose paired t-test over prompts finds the mean difference.

    Parameters
    ----------
    differences, weights : (D,) distinct paired differences and how often each occurs in the pool of prompts.
    n_prompts : prompts of each simulated study, drawn from the pool.
    confidence : 1 minus the level of the test.
    rng : the source of randomness.

    Returns
    -------
    In [0, 1], from `STUDIES` simulated studies.
    """
    shares = weights / weights.sum()
    scaled = rng.multinomial(n_prompts, shares, size=STUDIES).astype(np.float64)
    mean = scaled @ differences / n_prompts
    variance = np.maximum(scaled @ differences**2 / n_prompts - mean**2, 0.0) * n_prompts / max(n_prompts - 1, 1)
    critical = stats.t.ppf((1 + confidence) / 2, max(n_prompts - 1, 1))
    return float((np.abs(mean) > critical * np.sqrt(variance / n_prompts)).mean())


def check_pilot(n_prompts: int, n_samples: float, n_flipped: int, name: str) -> None:
    """Raise where a pilot shows too little of how decisions vary to plan from it.

    Parameters
    ----------
    n_prompts : prompts with a decision.
    n_samples : decisions a prompt, on average.
    n_flipped : prompts with more than one decision.
    name : whose pilot it is.

    Raises
    ------
    StudyError
        With fewer than `FEWEST_PILOT` prompts, two samples a prompt, or flipped prompts than `FEWEST_FLIPPED`.
    """
    why = ""
    if n_prompts < FEWEST_PILOT:
        why = f"{n_prompts} prompts are too few to plan from; run it on {FEWEST_PILOT} at least"
    elif n_samples < 2:
        why = "one response per prompt cannot show how decisions vary; run it with more seeds or temperatures"
    elif n_flipped < FEWEST_FLIPPED:
        why = (
            f"only {n_flipped} of {n_prompts} prompts changed their decision, too few to plan from; run it on "
            "more prompts, with more seeds, or at a higher temperature"
        )
    if why:
        raise StudyError(f"the pilot of {name}: {why}")


def prompt_pool(prior: Floats, pilot_samples: int, figure: str, difference: float, rng: np.random.Generator) -> Pool:
    """Prompts drawn from the pilot's prior, and their second side, moved so that the figure differs as asked.

    Parameters
    ----------
    prior : (K,) Dirichlet weights fitted to the pilot.
    pilot_samples : samples a prompt in the pilot; the difference is stated as this many would measure it.
    figure : `ssi` or `flip`.
    difference : second side minus first, e.g. -0.02 in mean SSI or +0.05 in the share of flipped prompts.
    rng : the source of randomness.

    Returns
    -------
    Pool
        `POOL` prompts.

    Raises
    ------
    StudyError
        Where the difference is 0, or one that cannot occur.
    """
    if not abs(difference) > 0:
        raise StudyError(f"--difference: {difference:g} is no difference to detect; give one such as -0.02")
    shares = rng.dirichlet(prior, size=POOL)
    exponent = exponent_for(_some(shares, pilot_samples, figure), pilot_samples, figure, difference)
    return Pool(shares, tempered(shares, exponent))


def _some(shares: Floats, n: int, figure: str) -> Floats:
    """As many of the shares (M, K) as the exact expectation of the figure in n samples is affordable for."""
    outcomes = 1 if figure == "flip" else len(compositions(n))
    return shares[: max(FEWEST_EXACT, EXACT_CELLS // outcomes)]


def smallest_study(
    pool: Pool,
    n_samples: int,
    figure: str,
    power: float,
    confidence: float,
    rng: np.random.Generator,
    related: bool = True,
) -> StudySize:
    """The least number of prompts that, with `n_samples` each on both sides, detects the pool's difference.

    Parameters
    ----------
    pool : as `prompt_pool` drew it.
    n_samples : samples a prompt in the planned study.
    figure : `ssi` or `flip`.
    power : e.g. 0.8.
    confidence : 1 minus the level of the two-sided test.
    rng : the source of randomness.
    related : True where each prompt's second side is its own first side, moved (one model at two temperatures, say).
        False where it is another prompt's, moved, as if the sides shared nothing but their distribution (two models, at
        worst).

    Returns
    -------
    StudySize
    """
    moved = pool.second if related else np.roll(pool.second, 1, axis=0)
    first, second = (FIGURES[figure](rng.multinomial(n_samples, side)) for side in (pool.first, moved))
    distinct = distinct_rows(np.round(second - first, 12)[:, None])
    before, after = (
        expected_figure(_some(side, n_samples, figure), n_samples, figure) for side in (pool.first, pool.second)
    )
    planned = after - before
    # the drawn differences' own mean is off by chance; the exact one is known
    weights = distinct.weights
    values = distinct.rows[:, 0] + (planned - float(weights @ distinct.rows[:, 0] / weights.sum()))

    stream = int(rng.integers(2**63))

    def reached(n_prompts: int) -> float:
        # The same random numbers for every size: asked again, a size has the power that it was chosen for.
        return power_of(values, weights, n_prompts, confidence, np.random.default_rng(stream))

    high = max(LEAST_PROMPTS, _normal_guess(values, weights, power, confidence) // 2)
    while reached(high) < power:
        if high == MOST_PROMPTS:
            return StudySize(n_samples, None, reached(high), planned)
        high = min(2 * high, MOST_PROMPTS)
    low = high // 2
    while low >= LEAST_PROMPTS and reached(low) >= power:
        low, high = low // 2, low
    low = max(low, LEAST_PROMPTS - 1)
    while high - low > max(1, high // 100):  # to about 1 %: finer than the simulation itself
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= power else (middle, high)
    return StudySize(n_samples, high, reached(high), planned)


def _normal_guess(values: Floats, weights: Ints, power: float, confidence: float) -> int:
    """Where to begin the search: the prompts that a normal approximation asks for, at most `MOST_PROMPTS`."""
    shares = weights / weights.sum()
    mean = float(shares @ values)
    variance = float(shares @ values**2) - mean**2
    reach = float(stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(power)) ** 2
    return int(min(MOST_PROMPTS, reach * variance / mean**2)) if mean else MOST_PROMPTS
