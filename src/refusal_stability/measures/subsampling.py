"""What a smaller study of the same prompts would have measured: stability expected in n of the observed responses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refusal_stability.measures.distinct import Distinct, Floats, Ints
from refusal_stability.measures.reliability import BLOCK_CELLS, compositions, log_binomials
from refusal_stability.measures.stability import K

ENOUGH = 0.5  # of the prompts must have as many responses as are drawn


def draw_chances(counts: Ints, n: int) -> tuple[Ints, Floats]:
    """Chance of every outcome of drawing n of a prompt's responses without replacement.

    Parameters
    ----------
    counts : (D, K) distinct count rows, each with N >= n.
    n : responses drawn.

    Returns
    -------
    drawn : (m, K) every way in which n draws can fall.
    chances : (D, m) multivariate hypergeometric, `prod_c C(n_c, d_c) / C(N, n)`; each row sums to 1.
    """
    total = counts.sum(axis=1)
    logs = log_binomials(int(total.max()) if len(counts) else n)
    drawn = compositions(n)
    chances = np.zeros((len(counts), len(drawn)))
    for c in range(K):
        chances += logs[counts[:, c]][:, drawn[:, c]]
    return drawn, np.exp(chances - logs[total, n][:, None])


def expected_in_draws(counts: Ints, n: int, figure: Callable[[Ints], Floats]) -> Floats:
    """Expectation of a per-prompt figure over all subsets of n of a prompt's responses; exact, no simulation.

    It is what a study with n responses a prompt would have reported on average, with the same prompts, model and
    judge. The majority form of SSI falls and the flip rate rises with n although nothing about the model changes;
    `ssi_pairwise` stays, which is what makes it comparable across studies of different size.

    Parameters
    ----------
    counts : (D, K) distinct count rows.
    n : responses drawn, at least 1.
    figure : maps count rows (m, K) to values (m,), as the functions of `measures.stability` do.

    Returns
    -------
    (D,) NaN where a prompt has fewer than n decisions, or where the figure is not defined on n responses.
    """
    result = np.full(len(counts), np.nan)
    rows = np.flatnonzero(counts.sum(axis=1) >= n)
    values = np.asarray(figure(compositions(n)), dtype=np.float64)
    block = max(1, BLOCK_CELLS // len(values))
    for start in range(0, len(rows), block):
        some = rows[start : start + block]
        result[some] = draw_chances(counts[some], n)[1] @ values
    return result


def last_draw(prompts: Distinct) -> int:
    """How many responses a curve over draws goes up to: at least half of the prompts have as many.

    A point further on would compare other prompts than the curve's first one.

    Parameters
    ----------
    prompts : distinct count rows of the prompts with a decision.

    Returns
    -------
    The greatest number of draws; 0 without prompts.
    """
    total = prompts.rows.sum(axis=1)
    enough = ENOUGH * prompts.weights.sum()
    return max(
        (n for n in range(1, int(total.max(initial=0)) + 1) if prompts.weights[total >= n].sum() >= enough), default=0
    )
