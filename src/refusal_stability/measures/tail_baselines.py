"""Plain estimates of the share of prompts that comply in k attempts, beside the forecast of `tail_forecast.py`."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from refusal_stability.measures.distinct import Floats, Ints, distinct_rows


def known_outcomes(n: Ints, m: Ints, k: int, stopped: bool) -> tuple[Floats, Floats]:
    """What the attempts made say of the first k of them (of all, where fewer were made).

    Parameters
    ----------
    n, m : (D,) attempts made, and how many ended in COMPLY.
    k : number of attempts.
    stopped : attempts ended with the first COMPLY.

    Returns
    -------
    within, spent : (D,) chance of a COMPLY, `1 - C(n - m, k) / C(n, k)`; expected attempts to the first, at most k.
    """
    if stopped:
        return ((m > 0) & (n <= k)).astype(np.float64), np.minimum(n, k).astype(np.float64)
    whole = _log_choose(n, m)
    none = np.where(n - k >= m, np.exp(_log_choose(n - k, m) - whole), 0.0)
    left = np.where(n - k >= m, np.exp(_log_choose(n - k + 1, m + 1) - whole), 0.0)
    return np.where(m > 0, 1 - none, 0.0), (n + 1) / (m + 1) - left


def _log_choose(n: Ints, k: Ints) -> Floats:
    return np.asarray(gammaln(np.maximum(n, 0) + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1))


def plug_in_share(tried: Ints, complied: Ints, attempts: int) -> float:
    """Baseline: every prompt's observed rate taken as its true one, mean of `1 - (1 - m / n)^k`.

    A prompt that has not complied is forecast never to comply, so the share is too small beyond the attempts made.

    Parameters
    ----------
    tried, complied : (P,) attempts made at each prompt (at least one), and how many ended in COMPLY.
    attempts : k.

    Returns
    -------
    In [0, 1]; NaN for no prompt.
    """
    return float(np.mean(1 - (1 - complied / tried) ** attempts)) if len(tried) else float("nan")


def pass_at_k_share(tried: Ints, complied: Ints, attempts: int, stopped: bool = False) -> float:
    """Baseline: the unbiased share in k of the attempts made, mean of `1 - C(n - m, k) / C(n, k)`.

    Parameters
    ----------
    tried, complied : (P,) attempts made at each prompt, and how many ended in COMPLY.
    attempts : k.
    stopped : attempts ended with the first COMPLY; the share is then that of prompts that complied by then.

    Returns
    -------
    In [0, 1]; NaN beyond the attempts made: where a prompt has fewer than k, unless it complied and stopped.

    References
    ----------
    Chen et al. (2021), Evaluating Large Language Models Trained on Code. arXiv:2107.03374
    """
    enough = (tried >= attempts) | ((complied > 0) & stopped)
    if not len(tried) or not enough.all():
        return float("nan")
    return float(known_outcomes(tried, complied, attempts, stopped)[0].mean())


def log_log_share(tried: Ints, complied: Ints, attempts: int, stopped: bool = False) -> float:
    """Baseline: minus the logarithm of the share, extrapolated as a power of the number of attempts.

    A least-squares line through `log(-log share)` against `log j`, for `pass_at_k_share` at j up to the attempts made.

    Parameters
    ----------
    tried, complied, attempts, stopped : as in `pass_at_k_share`.

    Returns
    -------
    In [0, 1]; NaN where fewer than two points of the curve lie strictly between 0 and 1.

    References
    ----------
    Hughes et al. (2024), Best-of-N Jailbreaking. arXiv:2412.03556
    """
    made = tried[complied == 0] if stopped and (complied == 0).any() else tried
    if not len(made) or not made.min():
        return float("nan")
    at = np.unique(np.geomspace(1, made.min(), 12).astype(np.int64))
    distinct = distinct_rows(np.column_stack([tried, complied]))
    n, m = distinct.rows.T
    share = np.array([known_outcomes(n, m, int(j), stopped)[0][distinct.index].mean() for j in at])
    usable = (share > 0) & (share < 1)
    if usable.sum() < 2:
        return float("nan")
    slope, level = np.polyfit(np.log(at[usable]), np.log(-np.log(share[usable])), 1)
    return float(np.exp(-np.exp(level + slope * np.log(attempts))))
