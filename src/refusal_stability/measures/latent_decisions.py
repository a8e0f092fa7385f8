"""Stability of the true decisions behind a judge's, without any assumed shape of the prompts' true shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln
from scipy.stats import binom, chi2

from refusal_stability.measures.confusion_odds import SEEN_BEFORE, confusion_of, error_odds
from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.latent_fit import ErrorFit, Evidence, climbed, densities, placed
from refusal_stability.measures.latent_interval import ProfileSide, more_errors, n_limited
from refusal_stability.measures.mixture import first_weights, mixture_weights
from refusal_stability.measures.reliability import compositions
from refusal_stability.measures.share_grid import share_grid
from refusal_stability.measures.stability import K

FIGURES = ("ssi", "ssi_pairwise", "flip")
STABLE_SIDE = (1, 1, -1)  # the end of each figure's interval that fewer and fewer prompts vary towards
TYPICAL = (0.010, 0.015, 0.05)  # standard errors of `FIGURES` in a study of `TYPICAL_PROMPTS`, to begin with
TYPICAL_PROMPTS = 876
REACH = 1.96  # standard errors of the labels


@dataclass(frozen=True)
class Latent:
    """True decision shares behind a judge's decisions, and its errors.

    Attributes
    ----------
    evidence : the study and its labels.
    centre : the estimate.
    """

    evidence: Evidence
    centre: ErrorFit

    @cached_property
    def n_limited(self) -> int:
        """How many of the errors at the estimate cannot be much larger, see `latent_interval.n_limited`."""
        return n_limited(self.evidence, self.centre)

    @property
    def confusion(self) -> Floats:
        """(K, K) chance of each of the judge's decisions (column) by the true one (row)."""
        return confusion_of(self.centre.odds)

    @property
    def population(self) -> Floats:
        """(G,) share of the prompts that have each point as their true shares."""
        return self.centre.shares

    @cached_property
    def values(self) -> Floats:
        """(G, 3) what prompts at each point show, in the order of `FIGURES`."""
        return by_point(self.evidence.points, self.evidence.counts, self.evidence.weights)

    def figures(self) -> Floats:
        """SSI, agreement of two samples and share of flipped prompts of the true decisions, at the prompts' own N.

        Returns
        -------
        (3,) in the order of `FIGURES`, each a share.
        """
        return np.asarray(self.population @ self.values)

    def shares(self) -> Floats:
        """Each row's true shares, as its counts and the population suggest.

        Returns
        -------
        (D, K) posterior means; rows sum to 1.
        """
        return np.asarray(self._posterior @ self.evidence.points)

    def instability(self) -> Floats:
        """Each row's posterior chance that its true decisions are not all the same.

        Returns
        -------
        (D,) in [0, 1].
        """
        # given p and the counts, each response's true decision is drawn from its own posterior
        same, judged = np.zeros(self._posterior.shape), np.log(self.evidence.points @ self.confusion)
        for c in range(K):
            share = np.log(np.maximum(self.evidence.points[:, [c]], 1e-300)) + np.log(self.confusion[c]) - judged
            same += np.exp(self.evidence.counts @ share.T)
        return np.asarray(np.clip(1 - (self._posterior * same).sum(axis=1), 0.0, 1.0))

    def intervals(self, confidence: float) -> tuple[Floats, Floats]:
        """Intervals of `figures` by profile likelihood.

        Parameters
        ----------
        confidence : e.g. 0.95.

        Returns
        -------
        low, high : (3,) within [0, 1]: the smallest and largest figure of any population and confusion matrix that
            lose no more than a bound in deviance. The deviance is that of the labels, plus that of the population
            against the best one for the same confusion matrix, plus what `contradiction` adds. The bound is the
            chi-squared quantile (one degree of freedom), and towards stability `cornered_bound`.
        """
        regular = float(chi2.ppf(confidence, 1))
        bounds = [cornered_bound(n, confidence) for n in range(K * (K - 1) + 1)]
        spreads = np.array(TYPICAL) * np.sqrt(TYPICAL_PROMPTS / self.evidence.weights.sum())
        low, high = self.figures(), self.figures()
        for f, spread in enumerate(spreads.tolist()):
            for sign in (-1, 1):
                stable = sign == STABLE_SIDE[f]
                far = self.most_errors if stable else None
                side = ProfileSide(self.evidence, self.centre, sign * self.values[:, f], spread, far)
                end = sign * (side.stable_end(bounds) if stable else side.end(regular)[0])
                low[f], high[f] = min(low[f], end), max(high[f], end)
        return np.clip(low, 0, 1), np.clip(high, 0, 1)

    @cached_property
    def most_errors(self) -> ErrorFit:
        """As many errors as the labels allow one by one: where a search from the other side starts."""
        odds = more_errors(self.evidence, self.centre.odds, REACH)
        return placed(self.evidence, odds, (self.population, self.population))

    @cached_property
    def _posterior(self) -> Floats:
        """(D, G) chances of the points given each row's counts."""
        chances = densities(self.evidence.counts, self.evidence.points, self.confusion)[0] * self.population
        return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def fit_latent(counts: Ints, weights: Ints, labelled: Floats) -> Latent:
    """Figures of the true decisions, from the judge's decisions and labels that show its errors.

    Each prompt has true shares of its own. Each response gets its true decision by these, independently, and the
    judge's by the row of the confusion matrix that belongs to the true one, independently again. Nothing else is
    assumed: the true shares have any distribution on `share_grid`, fitted by nonparametric maximum likelihood.

    A confusion matrix with fewer errors always fits the counts at least as well, because instability can explain what
    errors do. So the counts say nothing in its favour: the labels alone do. The counts can only contradict a matrix
    that has too many errors, see `contradiction`.

    Parameters
    ----------
    counts : (D, K) distinct rows of a prompt's decisions by the judge, one for each response judged separately.
    weights : (D,) how many prompts show each row.
    labelled : (K, K) labelled responses by true decision (row) and the judge's (column).

    Returns
    -------
    Latent

    References
    ----------
    Dawid & Skene (1979), doi:10.2307/2346806; Lindsay (1983), doi:10.1214/aos/1176346059; Murphy & van der Vaart
    (2000), On profile likelihood, doi:10.1080/01621459.2000.10474219.
    """
    points = share_grid(int(counts.sum(axis=1).max()))
    known, m = labelled + SEEN_BEFORE, weights.astype(np.float64)
    own, scale = densities(counts, points, np.eye(K))
    shares = mixture_weights(own, m, first_weights(own, m))
    evidence = Evidence(counts, m, known, points, float(m @ (np.log(own @ shares) + scale)))
    odds = error_odds(known / known.sum(axis=1, keepdims=True))
    shares = first_weights(densities(counts, points, confusion_of(odds))[0], m)
    centre = climbed(evidence, placed(evidence, odds, (shares, shares)))
    return Latent(evidence, centre)


def cornered_bound(n: int, confidence: float) -> float:
    """Deviance that bounds an end of an interval where the counts limit n of the judge's errors from above.

    If the true errors are the largest ones that the counts allow, the labels' estimate lies below in about half of the
    n directions, and the deviance adds up over these: it is a mixture of chi-squared distributions.

    Parameters
    ----------
    n : errors that are limited.
    confidence : e.g. 0.95; half of the rest is for this end.

    Returns
    -------
    The quantile; for n of 0 and 1 that of one degree of freedom.

    References
    ----------
    Self & Liang (1987), doi:10.1080/01621459.1987.10478472.
    """
    regular = float(chi2.ppf(confidence, 1))
    degrees = np.arange(1, n + 1)
    chances = binom.pmf(degrees, n, 0.5)
    if n < 2:
        return regular
    missed = (1 - confidence) / 2
    return float(brentq(lambda x: float(chances @ chi2.sf(x, degrees)) - missed, regular / 2, 100.0))


def by_point(points: Floats, counts: Ints, weights: Floats) -> Floats:
    """What prompts with these true shares would show at the study's own numbers of responses.

    Parameters
    ----------
    points : (G, K) true shares.
    counts, weights : (D, K) decisions and (D,) how many prompts show each row.

    Returns
    -------
    (G, 3) in the order of `FIGURES`.
    """
    numbers, place = np.unique(counts.sum(axis=1), return_inverse=True)
    shares = np.bincount(place, weights=weights) / weights.sum()
    logs = np.log(np.maximum(points, 1e-300))
    largest, flipped = np.zeros(len(points)), np.zeros(len(points))
    for n, share in zip(numbers.tolist(), shares, strict=True):
        drawn = compositions(int(n))
        chances = np.exp(gammaln(n + 1) - gammaln(drawn + 1).sum(axis=1) + logs @ drawn.T)
        largest += share * (chances @ (drawn.max(axis=1) / n))
        flipped += share * (1 - (points**n).sum(axis=1))
    return np.column_stack([largest, (points**2).sum(axis=1), flipped])
