"""What no prompt showed is not impossible: the interval of a figure for which every prompt has the same value."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from refusal_stability.measures.distinct import Floats
from refusal_stability.records import DECISIONS

_RATES = [f"{kind}{decision.word}_rate" for kind in ("mean_", "safety_", "") for decision in DECISIONS]
_SHARES = "mean_ssi_pairwise mean_ssi_entropy mean_ssi_entropy_observed over_refusal agreement "
_SHARES += "chance_of_comply raw_agreement pairwise_disagreement phrasing_disagreement language_disagreement "
_SHARES += "seed_disagreement"
_PERCENTS = "pct_unstable pct_flipped pct_ever_comply pct_within_5 pct_identical pct_identical_flipped pct_agreed "
_PERCENTS += "pct_exchanges_flipped pct_intents_split"
_LEAST_SSI = 1 / len(DECISIONS)

# The least and the greatest value that a figure can have for one prompt, where it is a mean over prompts.
_FIGURES: dict[str, tuple[float, float]] = {
    "mean_ssi": (_LEAST_SSI, 1.0),
    **dict.fromkeys([*_SHARES.split(), *_RATES], (0.0, 1.0)),
    **dict.fromkeys(_PERCENTS.split(), (0.0, 100.0)),
}
LIMITS = {
    **_FIGURES,
    **{f"{figure}_difference": (least - most, most - least) for figure, (least, most) in _FIGURES.items()},
    "mean_difference": (_LEAST_SSI - 1, 1 - _LEAST_SSI),
}


def largest_unseen_share(n_prompts: float, confidence: float) -> float:
    """The largest share of prompts with which none of a sample would have the event by chance.

    Parameters
    ----------
    n_prompts : the sample, in which none had it.
    confidence : of the one-sided bound.

    Returns
    -------
    float
        `1 - (1 - confidence) ** (1 / n_prompts)`; about `3 / n_prompts` at 95 %, the rule of three.

    References
    ----------
    Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404
    Hanley and Lippman-Hand (1983), doi:10.1001/jama.1983.03330370053031
    """
    return float(1 - (1 - confidence) ** (1 / n_prompts))


def with_the_unseen(
    columns: Sequence[str],
    own: Floats,
    low: Floats,
    high: Floats,
    n_prompts: Floats,
    confidence: float,
    fixed: Collection[str] = (),
) -> tuple[Floats, Floats]:
    """Intervals that have a width where every prompt has the same value.

    A share of prompts that the sample may well hold none of can have any other value. The interval therefore reaches
    towards each limit by that share of the distance. Where the value is at one limit, all of the confidence goes to the
    other side.

    Parameters
    ----------
    columns : m names. What stands behind a space in them is not part of the figure's name.
    own, low, high : (m,) the figures and the ends of their bootstrap intervals.
    n_prompts : (m,) how many prompts each rests on.
    confidence : e.g. 0.95.
    fixed : columns whose value is 0 or 1 by construction, as the flip rate of single responses.

    Returns
    -------
    low, high : (m,) as given where the interval has a width, and for figures without `LIMITS`.
    """
    low, high = low.copy(), high.copy()
    for i, column in enumerate(columns):
        limits = None if column in fixed else LIMITS.get(column.split(" ")[0])
        if limits is None or not n_prompts[i] >= 1 or not high[i] - low[i] <= 1e-9 * (limits[1] - limits[0]):
            continue
        least, most = limits
        room = np.array([own[i] - least, most - own[i]])
        open_ = room > 1e-9 * (most - least)
        each = 1 - (1 - confidence) / max(1, int(open_.sum()))
        below, above = np.where(open_, room * largest_unseen_share(float(n_prompts[i]), each), 0.0)
        low[i], high[i] = own[i] - below, own[i] + above
    return low, high
