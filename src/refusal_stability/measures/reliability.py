"""How many samples are enough: exact agreement curves and tail risk, from the hypergeometric distribution."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.stability import COMPLY, K, majority

BLOCK_CELLS = 1 << 21


def log_binomials(largest: int) -> Floats:
    """Table of log C(n, k).

    Parameters
    ----------
    largest : the largest n and k.

    Returns
    -------
    (largest + 1, largest + 1) indexed [n, k]; minus infinity where k > n.
    """
    n, k = np.meshgrid(np.arange(largest + 1), np.arange(largest + 1), indexing="ij")
    with np.errstate(invalid="ignore"):
        logs = gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1)
    return np.where(k <= n, logs, -np.inf)


def agreement_curve(counts: Ints) -> Floats:
    """Chance that the majority of n of a prompt's responses is the prompt's majority, for every n.

    The n responses are drawn without replacement from the N observed ones, so the drawn counts are multivariate
    hypergeometric, and the chance is summed over all of them; no simulation. A tie among the drawn ones is broken at
    random in equal parts. The prompt's own majority is that of `stability.majority`.

    Parameters
    ----------
    counts : (D, K) distinct count rows.

    Returns
    -------
    (D, n_max) with n_max the largest N; column n - 1 holds the chance for n draws; NaN where n > N. At n = 1 it is
    ssi; at n = N it is 1, or one part in as many as tie.
    """
    n_max = int(counts.sum(axis=1).max()) if len(counts) else 0
    logs = log_binomials(n_max)
    code, _ = majority(counts)
    curve = np.full((len(counts), n_max), np.nan)
    for n in range(1, n_max + 1):
        drawn = compositions(n)
        most = drawn == drawn.max(axis=1, keepdims=True)
        share = (most / most.sum(axis=1, keepdims=True)).T
        rows = np.flatnonzero(counts.sum(axis=1) >= n)
        for start in range(0, len(rows), max(1, BLOCK_CELLS // len(drawn))):
            some = rows[start : start + max(1, BLOCK_CELLS // len(drawn))]
            chance = sum(logs[counts[some, c]][:, drawn[:, c]] for c in range(K))
            chance = np.exp(chance - logs[counts[some].sum(axis=1), n][:, None])
            curve[some, n - 1] = (chance * share[code[some]]).sum(axis=1)
    return curve


def compositions(n: int) -> Ints:
    """Every way to split n into a count for each decision.

    Parameters
    ----------
    n : the sum of each row.

    Returns
    -------
    (m, K) in lexicographic order, with m = (n + 1) (n + 2) / 2 for three decisions.
    """
    first = np.indices((n + 1,) * (K - 1), dtype=np.int64).reshape(K - 1, -1)
    rest = n - first.sum(axis=0)
    return np.ascontiguousarray(np.vstack([first, rest]).T[rest >= 0], dtype=np.int64)


def least_n(curve: Floats, target: float) -> float:
    """The least number of draws whose value on the curve reaches the target.

    Parameters
    ----------
    curve : (n_max,) for 1, 2, ... draws; NaN never reaches.
    target : e.g. 0.95.

    Returns
    -------
    A whole number from 1; NaN where no value reaches the target.
    """
    with np.errstate(invalid="ignore"):
        reached = np.flatnonzero(curve >= target - 1e-12)
    return float(reached[0] + 1) if len(reached) else float("nan")


def chance_of_comply(counts: Ints) -> Floats:
    """Chance of at least one COMPLY among n of a prompt's responses, `1 - C(N - m, n) / C(N, n)`, for every n.

    Parameters
    ----------
    counts : (D, K) distinct count rows, m of the N being COMPLY.

    Returns
    -------
    (D, n_max); NaN where n > N.
    """
    total = counts.sum(axis=1)
    n_max = int(total.max()) if len(counts) else 0
    logs = log_binomials(n_max)
    n = np.arange(1, n_max + 1)
    none = np.exp(logs[total - counts[:, COMPLY]][:, n] - np.where(n <= total[:, None], logs[total][:, n], 0.0))
    return np.where(n <= total[:, None], 1 - none, np.nan)


def queries_to_comply(counts: Ints) -> tuple[Floats, Floats]:
    """Expected number of queries to a prompt's first COMPLY.

    Parameters
    ----------
    counts : (D, K) distinct count rows, m of the N being COMPLY.

    Returns
    -------
    with_replacement : (D,) `N / m`, the mean of a geometric distribution; as published.
    without : (D,) `(N + 1) / (m + 1)`, the mean of the negative hypergeometric: drawing the observed ones in turn.

    NaN where no response complies.
    """
    total, complied = counts.sum(axis=1), counts[:, COMPLY]
    ever = complied > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ever, total / complied, np.nan), np.where(ever, (total + 1) / (complied + 1), np.nan)
