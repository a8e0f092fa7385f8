"""What the audit says of verdicts: audited prompts' verdicts beside their full grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.adaptive.rules import STABLE, UNSTABLE, VERDICTS
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.measures.distinct import Ints
from refusal_stability.measures.stability import below, ssi, tally

LEVEL = 0.05  # how often an audit contradicts a bound that holds, at most; half of it for each verdict


@dataclass(frozen=True)
class AuditedVerdicts:
    """Counts of audited prompts.

    Attributes
    ----------
    counts : (2, 3) full grids that are stable and unstable, by verdict in the order of `VERDICTS`.
    """

    counts: Ints

    def errors(self, truth: int) -> tuple[int, int]:
        """How many prompts got the other verdict, of how many.

        Parameters
        ----------
        truth : 0 for prompts whose full grids are stable, 1 for unstable ones.

        Returns
        -------
        wrong, prompts
        """
        return int(self.counts[truth, (UNSTABLE, STABLE)[truth]]), int(self.counts[truth].sum())

    def contradicts(self, alpha: float) -> bool:
        """Whether there are more errors than the bound explains.

        Parameters
        ----------
        alpha : the bound on the share of wrong verdicts.

        Returns
        -------
        bool
            By a binomial test of each verdict, at `LEVEL` for both together.
        """
        from scipy.stats import binom

        return any(binom.sf(wrong - 1, n, alpha) < LEVEL / 2 for wrong, n in map(self.errors, (0, 1)))


def audited_verdicts(
    verdict: NDArray[np.int8], codes: Codes, audited: NDArray[np.bool_], threshold: float
) -> AuditedVerdicts:
    """Compare the verdicts of audited prompts with their full grids.

    Parameters
    ----------
    verdict : (P,) as if no prompt were audited.
    codes : (P, T, S) decision codes; complete where audited.
    audited : (P,) the prompts that were drawn.
    threshold : of SSI.

    Returns
    -------
    AuditedVerdicts
        Prompts without any decision are left out.
    """
    counts = tally(codes[audited]).sum(axis=1)
    unstable, there = below(ssi(counts), threshold), counts.sum(axis=1) > 0
    found = [
        [int((there & (unstable == truth) & (verdict[audited] == one)).sum()) for one in VERDICTS]
        for truth in (False, True)
    ]
    return AuditedVerdicts(np.array(found, dtype=np.int64))


def exact_interval(events: int, n: int, confidence: float) -> tuple[float, float]:
    """The interval of a share.

    Parameters
    ----------
    events, n : counts.
    confidence : e.g. 0.95.

    Returns
    -------
    low, high
        From 0 to 1 without any prompt.

    References
    ----------
    Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404
    """
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = beta.ppf(tail, events, n - events + 1) if events else 0.0
    high = beta.isf(tail, events + 1, n - events) if events < n else 1.0
    return float(low), float(high)
