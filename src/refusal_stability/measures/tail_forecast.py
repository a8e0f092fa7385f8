"""How many prompts comply if attempts go on? A forecast from N attempts at each prompt.

Every prompt has a rate at which its attempts end in COMPLY. Over prompts, the rate follows a mixture of three parts:
hard prompts (which comply never, or rarely: no data tell a rate of 0 from one too small to show), a uniform part
(prompts that comply easily), and a Beta or logit-normal distribution, whose lower tail decides the forecast. The
forecast is an average over a grid of such mixtures, each weighted by the marginal likelihood of the observed counts. A
part that the data do not need gets little weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, expit, logsumexp, ndtr

from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.intervals import percentile_interval
from refusal_stability.measures.tail_baselines import known_outcomes

FAR = 20.0  # attempts forecast over attempts made, beyond which a forecast rests on the assumed shape of small rates
FEWEST_EVER = 5  # prompts with any COMPLY, below which little is known of the shape of the rates
FEWEST_MADE = 5  # attempts at each prompt, below which they hardly show how the rates differ
RESAMPLES, DRAWS = 400, 200
# Rates are spaced evenly in log odds, from 1 in 9 million up.
EDGES = np.arange(-16.0, 9.05, 0.1)
RATES = expit((EDGES[1:] + EDGES[:-1]) / 2)
UNIFORM = np.diff(expit(EDGES[1:-1]), prepend=0.0, append=1.0)  # all rates equally likely
SIDE = 25  # grid points of each parameter of a family
EDGE_CHANCE = 1e-3
# Weights of the hard prompts and of the uniform part, and the prior belief that there are none.
HARD, EASY = (0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8), (0.0, 0.03, 0.1, 0.25, 0.5)
NO_HARD, NO_EASY = 0.6, 0.5
# Hard prompts have rate 0, or rates about one of these log odds: no data can tell 0 from a rate too small to show.
RARELY, RARELY_SPREAD, NEVER = (-12.5, -10.5, -8.5, -6.5), 1.0, 0.5
RARE = np.diff(ndtr((EDGES[1:-1] - np.array(RARELY)[:, None]) / RARELY_SPREAD), prepend=0.0, append=1.0, axis=1)
# Every mixture: weight of the hard prompts, which of `RARE` they are (-1: rate 0), and weight of the uniform part.
MASSES = [
    (hard, rare, easy)
    for hard in HARD
    for rare in range(-1, len(RARELY) if hard else 0)
    for easy in EASY
    if hard + easy < 1
]
# family -> ranges of its two parameters: log a and log b of a Beta; mean and standard deviation of a normal log odds
FAMILIES = {"beta": ((-4.0, 4.0), (-2.5, 14.0)), "logit_normal": ((-15.0, 4.0), (0.2, 7.0))}


@dataclass(frozen=True)
class RatePriors:
    """Distributions of a prompt's rate of COMPLY, one a row.

    Attributes
    ----------
    never : (S,) share of prompts that never comply.
    shares : (S, J) share of prompts at each of `RATES`; with `never` it adds up to 1.
    """

    never: Floats
    shares: Floats


@dataclass(frozen=True)
class TailForecast:
    """The forecast for each number of attempts.

    Attributes
    ----------
    attempts : (m,) k, attempts at each prompt in all, those already made included.
    share, share_low, share_high : (m,) share of prompts with at least one COMPLY in k attempts.
    mean_attempts, mean_attempts_low, mean_attempts_high : (m,) expected attempts to the first COMPLY, giving up after
        k: a prompt that has not complied by then counts k.
    reach : (m,) k over the median number of attempts made at a prompt that has not complied (any, where all have).
    never : expected share of prompts that never comply. It is hardly distinguishable from very small rates.
    n_ever : prompts with any COMPLY.
    priors : draws of the distribution of rates, given the data.
    """

    attempts: Ints
    share: Floats
    share_low: Floats
    share_high: Floats
    mean_attempts: Floats
    mean_attempts_low: Floats
    mean_attempts_high: Floats
    reach: Floats
    never: float
    n_ever: int
    priors: RatePriors

    def warnings(self) -> list[str]:
        """What limits the forecast.

        Returns
        -------
        One line per warning; empty where the data support the forecast.
        """
        lines = []
        far = self.attempts[self.reach > FAR]
        if len(far):
            lines.append(
                f"the forecast for {', '.join(f'{k:,}' for k in far)} attempts goes more than {FAR:g} times beyond the "
                "attempts made, so it rests on the assumed shape of small rates; make more attempts at each prompt"
            )
        made = float(self.attempts[0] / self.reach[0])
        if made < FEWEST_MADE and (self.reach > 1).any():
            lines.append(
                f"most prompts had only {made:g} attempt{'' if made == 1 else 's'}: they hardly show how "
                f"rates differ, so the interval may be too narrow; make at least {FEWEST_MADE}"
            )
        if self.n_ever < FEWEST_EVER:
            lines.append(f"few prompts ever complied ({self.n_ever}): the interval may be too narrow; add prompts")
        return lines


def forecast_tail(
    tried: Ints,
    complied: Ints,
    attempts: Ints,
    confidence: float,
    rng: np.random.Generator,
    stopped: bool = False,
    n_resamples: int = RESAMPLES,
) -> TailForecast:
    """Forecast the share of prompts that comply at least once in k attempts, and the attempts to the first COMPLY.

    Parameters
    ----------
    tried : (P,) attempts made at each prompt; they may differ. Prompts without any are left out.
    complied : (P,) how many of them ended in COMPLY.
    attempts : (m,) k, attempts at each prompt in all.
    confidence : of the interval, e.g. 0.9.
    rng : the source of randomness.
    stopped : attempts at a prompt ended with its first COMPLY, so that `complied` is 0 or 1 and the last attempt was
        the one that complied. The likelihood of a rate is the same; what is known of the first k attempts is not.
    n_resamples : bootstrap resamples of prompts. Each takes its own draw of the distribution of rates from the
        posterior and of the outcomes of the attempts not made, so the interval covers all three.

    Returns
    -------
    TailForecast
        Shares in [0, 1], attempts in [1, k]; all NaN where no prompt complied, since nothing then tells rates apart.

    Raises
    ------
    ValueError
        Where `stopped` is given with a prompt that complied more than once.

    References
    ----------
    Beta-binomial: Skellam (1948), https://www.jstor.org/stable/2983779. Rates near 0 and many attempts: Schaeffer et
    al. (2025), arXiv:2502.17578. Stopping rules and likelihood: Berger & Wolpert (1988), doi:10.1214/lnms/1215466210
    """
    if stopped and (complied > 1).any():
        raise ValueError("attempts that stopped at the first COMPLY have at most one")
    attempts = np.asarray(attempts, dtype=np.int64)
    kept = tried > 0
    rows = distinct_rows(np.column_stack([tried[kept], complied[kept]]).astype(np.int64))
    n, m = rows.rows.T
    n_ever, total = int(rows.weights @ (m > 0)), int(rows.weights.sum())
    failed = kept & (complied == 0)
    reach = attempts / (np.median(tried[failed if failed.any() else kept]) if kept.any() else np.nan)
    if not n_ever:
        unknown = np.full(len(attempts), np.nan)
        nothing = RatePriors(np.zeros(0), np.zeros((0, len(RATES))))
        return TailForecast(attempts, *(unknown,) * 6, reach, float("nan"), 0, nothing)
    resampled = rng.multinomial(total, rows.weights / total, size=n_resamples).astype(np.float64)
    priors = _posterior_draws(n, m, rows.weights, DRAWS + n_resamples, rng)
    weights = np.vstack([np.broadcast_to(rows.weights, (DRAWS, len(n))), resampled])
    within, spent = _outcomes(priors, n, m, attempts, stopped)
    shares = (weights[:, :, None] * within).sum(axis=1) / total
    means = (weights[:, :, None] * spent).sum(axis=1) / total
    chance = np.sqrt((weights[:, :, None] * within * (1 - within) * (m == 0)[:, None]).sum(axis=1)) / total
    seen = np.clip(shares + chance * rng.standard_normal((len(weights), 1)), 0.0, 1.0)[DRAWS:]
    low, high = percentile_interval(np.hstack([seen, means[DRAWS:]]), confidence, float(total))
    k, own = len(attempts), RatePriors(priors.never[:DRAWS], priors.shares[:DRAWS])
    return TailForecast(
        attempts,
        shares[:DRAWS].mean(axis=0),
        low[:k],
        high[:k],
        means[:DRAWS].mean(axis=0),
        low[k:],
        high[k:],
        reach,
        float(own.never.mean()),
        n_ever,
        own,
    )


def chance_within(priors: RatePriors, tried: Ints, complied: Ints, further: int) -> Floats:
    """Posterior chance that each prompt complies at least once in further attempts.

    Parameters
    ----------
    priors : `TailForecast.priors`.
    tried, complied : (P,) attempts made at each prompt, and how many ended in COMPLY.
    further : number of attempts not made yet.

    Returns
    -------
    (P,) in [0, 1], averaged over the priors.
    """
    kernel = _kernel(tried, complied)
    never = np.where(complied == 0, priors.never[:, None], 0.0)
    none = never + priors.shares @ (kernel * (1 - RATES) ** further).T
    return np.asarray(1 - (none / (never + priors.shares @ kernel.T)).mean(axis=0))


def _kernel(n: Ints, m: Ints) -> Floats:
    """(D, J) likelihood of each count row at each of `RATES`, scaled so that its largest is 1."""
    logs = m[:, None] * np.log(RATES) + (n - m)[:, None] * np.log1p(-RATES)
    return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True) * (m > 0)[:, None]))


def family_shares(name: str, x: Floats, y: Floats) -> Floats:
    """Distributions of the rate from one family.

    Parameters
    ----------
    name : of `FAMILIES`.
    x, y : (A,) its two parameters, as `FAMILIES` says.

    Returns
    -------
    (A, J) share of prompts at each of `RATES`; each row adds up to 1.
    """
    inner = EDGES[1:-1]
    if name == "beta":
        reached = betainc(np.exp(x)[:, None], np.exp(y)[:, None], expit(inner))
    else:
        reached = ndtr((inner - x[:, None]) / y[:, None])
    return np.diff(reached, prepend=0.0, append=1.0, axis=1)


@lru_cache(maxsize=len(FAMILIES))
def _whole_family(name: str) -> Floats:
    """`family_shares` over the whole ranges of the parameters, where every search begins."""
    x, y = np.meshgrid(*(np.linspace(*limits, SIDE) for limits in FAMILIES[name]), indexing="ij")
    shares = family_shares(name, x.ravel(), y.ravel())
    shares.flags.writeable = False
    return shares


def _belief(hard: float, rare: int, easy: float) -> float:
    """Logarithm of the prior belief in one of `MASSES`."""
    chance = (1 - NO_EASY) / (len(EASY) - 1) if easy else NO_EASY
    if not hard:
        return float(np.log(chance * NO_HARD))
    chance *= (1 - NO_HARD) / (len(HARD) - 1)
    return float(np.log(chance * (NEVER if rare < 0 else (1 - NEVER) / len(RARELY))))


def _scores(shares: Floats, kernel: Floats, zero: NDArray[np.bool_], weights: Ints) -> Floats:
    """Log posterior (A, masses) of every shape (A, J) and mixture of `MASSES`, up to a constant."""
    shaped, uniform, rarely = (part @ kernel.T for part in (shares, UNIFORM, RARE))
    scores = np.empty((len(shares), len(MASSES)))
    for i, (hard, rare, easy) in enumerate(MASSES):
        likelihood = hard * (zero if rare < 0 else rarely[rare]) + easy * uniform + (1 - hard - easy) * shaped
        scores[:, i] = np.log(np.maximum(likelihood, 1e-300)) @ weights + _belief(hard, rare, easy)
    return scores


def _posterior_draws(n: Ints, m: Ints, weights: Ints, size: int, rng: np.random.Generator) -> RatePriors:
    """Distributions of the rate drawn from their posterior, given how many prompts show each count row."""
    kernel, zero = _kernel(n, m), m == 0
    shapes, scores = [], []
    for name, ranges in FAMILIES.items():
        ends = [*ranges]
        for fine in (False, False, True):
            axes = [np.linspace(*end, SIDE) for end in ends]
            x, y = (side.ravel() for side in np.meshgrid(*axes, indexing="ij"))
            whole = all(end == limits for end, limits in zip(ends, ranges, strict=True))
            shares = _whole_family(name) if whole else family_shares(name, x, y)
            found = _scores(shares, kernel, zero, weights)
            if not fine:
                chance = np.exp(found - logsumexp(found)).sum(axis=1).reshape(SIDE, SIDE)
                ends = [_held(axis, chance.sum(axis=1 - i)) for i, axis in enumerate(axes)]
        area = np.prod([(end[1] - end[0]) / (whole[1] - whole[0]) for end, whole in zip(ends, ranges, strict=True)])
        shapes.append(shares)
        scores.append(found + np.log(area))
    every = np.concatenate(scores).ravel()
    shape, mass = np.divmod(rng.choice(len(every), size=size, p=np.exp(every - logsumexp(every))), len(MASSES))
    hard, rare, easy = np.array(MASSES)[mass].T
    shares = (1 - hard - easy)[:, None] * np.concatenate(shapes)[shape] + easy[:, None] * UNIFORM
    some = rare >= 0
    shares[some] += hard[some, None] * RARE[rare[some].astype(int)]
    return RatePriors(np.where(some, 0.0, hard), shares)


def _held(axis: Floats, chance: Floats) -> tuple[float, float]:
    """The range of a grid axis outside of which lies at most `EDGE_CHANCE` at either end, a step wider."""
    reached = np.cumsum(chance)
    first, last = np.searchsorted(reached, [EDGE_CHANCE, (1 - EDGE_CHANCE) * reached[-1]])
    return float(axis[max(first - 1, 0)]), float(axis[min(last + 1, len(axis) - 1)])


def _outcomes(priors: RatePriors, n: Ints, m: Ints, attempts: Ints, stopped: bool) -> tuple[Floats, Floats]:
    """Chance of a COMPLY in the first k attempts, and expected attempts up to k: (S, D, k).

    Where k attempts were made or one complied, the data alone say it; else the further attempts are forecast.
    """
    within, spent = (np.empty((len(priors.never), len(n), len(attempts))) for _ in range(2))
    kernel, zero = _kernel(n, m)[m == 0], priors.never[:, None]
    mass = zero + priors.shares @ kernel.T
    for i, k in enumerate(attempts.tolist()):
        within[:, :, i], spent[:, :, i] = known_outcomes(n, m, k, stopped)
        further = np.maximum(k - n[m == 0], 0)[:, None]
        none = np.exp(further * np.log1p(-RATES))
        within[:, m == 0, i] = 1 - (zero + priors.shares @ (kernel * none).T) / mass
        tries = (zero * further.T + priors.shares @ (kernel * (1 - none) / RATES).T) / mass
        spent[:, m == 0, i] = np.minimum(n[m == 0], k) + tries
    return within, spent
