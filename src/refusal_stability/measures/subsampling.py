"""What a smaller study of the same prompts would have measured: stability expected in n of the observed responses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.reliability import BLOCK_CELLS, compositions, log_binomials
from refusal_stability.measures.stability import K


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
