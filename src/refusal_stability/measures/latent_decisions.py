"""Stability of the true decisions behind a judge's: prompts' true shares, and the judge's errors, fitted together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaincinv, expit, gammaln, logit, logsumexp
from scipy.stats import chi2, norm, qmc

from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.reliability import compositions
from refusal_stability.measures.stability import K

FIGURES = ("ssi", "ssi_pairwise", "flip")
EACH, BASES = 192, (0.5, 0.1)  # points of each spread: symmetric Dirichlet distributions of these weights
LEAST_SHARE = 1e-8
ATOM_CENTRE, ATOM_SCALE = -4.5, 8.0  # weak normal belief on the log odds of each vertex against all between
SHAPE_CENTRE, SHAPE_SCALE = -0.5, 2.0  # and on each weight, less 1, of the Dirichlet distribution between
SEEN_BEFORE = 0.02  # of each cell of the confusion matrix, beside the labels
STEP = 1e-4
NOT_REJECTED = float(chi2.ppf(0.95, K)) / 2  # log-likelihood that the vertices must add to be needed, at the 5 % level
LARGEST = 15.0  # of a parameter; a search that leaves it finds nothing better
N_POPULATION, N_ERRORS = 2 * K, K * (K - 1)
OFF_DIAGONAL = ~np.eye(K, dtype=bool)


def true_share_points() -> tuple[Floats, Floats]:
    """The true decision shares that a prompt may have: one vertex per decision, then points inside.

    Returns
    -------
    points : (G, K) rows sum to 1. The first K are the vertices. The others are quasi-random, spread as symmetric
        Dirichlet distributions of the weights `BASES` are, together.
    logs : (G,) what a point stands for, as a logarithm: 0 for a vertex, minus the density of the spread inside.
    """
    uniform = qmc.Halton(K - 1, scramble=False).random(EACH + 1)[1:]
    inside = []
    for base in BASES:
        parts, left = [], np.ones(EACH)
        for c in range(K - 1):
            part = betaincinv(base, base * (K - 1 - c), uniform[:, c])
            parts.append(left * part)
            left = left * (1 - part)
        inside.append(np.column_stack([*parts, left]))
    points = np.maximum(np.concatenate(inside), LEAST_SHARE)
    points /= points.sum(axis=1, keepdims=True)
    total = np.log(points).sum(axis=1)
    densities = [gammaln(K * base) - K * gammaln(base) + (base - 1) * total for base in BASES]
    spread = logsumexp(densities, axis=0) + np.log(EACH)
    return np.concatenate([np.eye(K), points]), np.concatenate([np.zeros(K), -spread])


POINTS, _STANDS_FOR = true_share_points()
_INSIDE = np.arange(len(POINTS)) >= K
_TRAITS = np.column_stack([np.eye(len(POINTS), K), np.where(_INSIDE[:, None], np.log(np.maximum(POINTS, 1e-300)), 0.0)])


@dataclass(frozen=True)
class Latent:
    """A fitted population of prompts and the judge's errors.

    Attributes
    ----------
    parameters : (2 K + K (K - 1),) of the population, then log odds of each error against the right decision.
    covariance : of the parameters.
    counts, weights : (D, K) the judge's decisions, and (D,) how many prompts show each row.
    loss : minus the log-likelihood and the beliefs.
    without_vertices : the fit in which no prompt is always decided alike, unless the data reject it.
    """

    parameters: Floats
    covariance: Floats
    counts: Ints
    weights: Ints
    loss: float
    without_vertices: Latent | None = None

    @property
    def confusion(self) -> Floats:
        """(K, K) chance of each of the judge's decisions (column) by the true one (row)."""
        return _confusion(self.parameters[N_POPULATION:])

    @property
    def population(self) -> Floats:
        """(G,) share of the prompts that have each of `POINTS` as their true shares."""
        return _population(self.parameters[:N_POPULATION])

    def shares(self) -> Floats:
        """Each row's true shares, as its counts and the population suggest.

        Returns
        -------
        (D, K) posterior means; rows sum to 1.
        """
        return np.asarray(_posterior(self.parameters, self.counts)[0] @ POINTS)

    def instability(self) -> Floats:
        """Each row's posterior chance that its true decisions are not all the same.

        Returns
        -------
        (D,) in [0, 1].
        """
        n = self.counts.sum(axis=1)
        chances, log_confusion = _posterior(self.parameters, self.counts)
        # given p and the counts, each response's true decision is drawn from its own posterior
        same = np.zeros((len(n), len(POINTS)))
        for c in range(K):
            share = np.log(np.maximum(POINTS[:, c : c + 1], 1e-300)) + np.log(self.confusion[c]) - log_confusion
            same += np.exp(self.counts @ share.T)
        return np.asarray(np.clip(1 - (chances * same).sum(axis=1), 0.0, 1.0))

    def figures(self) -> Floats:
        """SSI, agreement of two samples and share of flipped prompts of the true decisions, at the prompts' own N.

        Returns
        -------
        (3,) in the order of `FIGURES`, each a share. The mean, on the log-odds scale, of the two fits where the data
        leave both possible.
        """
        by_point = _by_point(self.counts, self.weights)
        return np.asarray(expit(np.mean([fit._log_odds(fit.parameters, by_point) for fit in self._possible], axis=0)))

    def intervals(self, confidence: float) -> tuple[Floats, Floats]:
        """Intervals of `figures`: normal on the log-odds scale, of prompts and of the labels that show the errors.

        Parameters
        ----------
        confidence : e.g. 0.95.

        Returns
        -------
        low, high : (3,) within [0, 1]. They span the intervals of both fits where the data leave both possible: they
            cannot tell prompts that rarely vary from prompts that never do, and flips depend on it.
        """
        by_point = _by_point(self.counts, self.weights)
        ends = []
        for fit in self._possible:
            slopes = np.array(
                [
                    (fit._log_odds(fit.parameters + move, by_point) - fit._log_odds(fit.parameters - move, by_point))
                    / (2 * STEP)
                    for move in STEP * np.eye(len(fit.parameters))
                ]
            )
            spread = np.sqrt(np.maximum(np.einsum("pf,pq,qf->f", slopes, fit.covariance, slopes), 0.0))
            reach = norm.ppf((1 + confidence) / 2) * spread
            centre = fit._log_odds(fit.parameters, by_point)
            ends.append([centre - reach, centre + reach])
        low, high = np.min(ends, axis=0)[0], np.max(ends, axis=0)[1]
        return np.asarray(expit(low)), np.asarray(expit(high))

    @property
    def _possible(self) -> list[Latent]:
        return [self] if self.without_vertices is None else [self, self.without_vertices]

    def _log_odds(self, parameters: Floats, by_point: Floats) -> Floats:
        return np.asarray(logit(np.clip(_population(parameters[:N_POPULATION]) @ by_point, 1e-9, 1 - 1e-9)))


def fit_latent(counts: Ints, weights: Ints, labelled: Floats) -> Latent:
    """Fit prompts' true decision shares and the judge's errors to its decisions and to labelled responses.

    A prompt's true shares are one of the K vertices (always the same decision) or come from a Dirichlet distribution.
    Each response gets its true decision by these shares, independently, and the judge's decision by the row of the
    confusion matrix that belongs to the true one, independently again. The likelihood of the study's counts times
    that of the labels is maximised over both, with weak normal beliefs on the population's parameters. A second fit has
    no vertices. It is kept where a likelihood-ratio test does not reject it.

    Parameters
    ----------
    counts : (D, K) distinct rows of a prompt's decisions by the judge, one for each response judged separately.
    weights : (D,) how many prompts show each row.
    labelled : (K, K) labelled responses by true decision (row) and the judge's (column).

    Returns
    -------
    Latent
        With a sandwich covariance: prompts are the sampling unit, labels are independent of each other.

    References
    ----------
    Dawid & Skene (1979), doi:10.2307/2346806, for the confusion matrix of unseen true decisions; Efron (2016),
    Empirical Bayes deconvolution estimates, doi:10.1093/biomet/asv068; Huber (1967) and White (1982),
    doi:10.2307/1912526, for the covariance.
    """
    whole, without = (_fitted(counts, weights, labelled + SEEN_BEFORE, vertices) for vertices in (True, False))
    return replace(whole, without_vertices=without if without.loss - whole.loss < NOT_REJECTED else None)


def _fitted(counts: Ints, weights: Ints, known: Floats, vertices: bool) -> Latent:
    rates = known / known.sum(axis=1, keepdims=True)
    errors = np.log(rates / np.diagonal(rates)[:, None])[OFF_DIAGONAL]
    start = np.concatenate([np.full(K, -1.0 if vertices else -LARGEST), np.full(K, -0.6), errors])
    free = np.arange(len(start)) >= (0 if vertices else K)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        value, slopes = _log_likelihood(parameters, counts)
        more, slope = _beliefs(parameters, known, vertices)
        return -float(weights @ value) - more, (-(weights @ slopes) - slope) * free

    search = minimize(loss, start, jac=True, method="BFGS", options={"maxiter": 400})
    found = search.x
    hessian = np.array(
        [(loss(found + move)[1] - loss(found - move)[1]) / (2 * STEP) for move in STEP * np.eye(len(found))]
    )
    hessian[~free] = hessian[:, ~free] = 0
    inverse = np.linalg.pinv((hessian + hessian.T) / 2, rcond=1e-10, hermitian=True)
    scores = _log_likelihood(found, counts)[1]
    mean = weights @ scores / weights.sum()
    middle = (scores - mean).T @ ((scores - mean) * weights[:, None]) + label_information(found, known)
    return Latent(found, inverse @ middle @ inverse, counts, weights, float(search.fun))


def label_information(parameters: Floats, known: Floats) -> Floats:
    """What labels, and the weak beliefs, tell of the parameters.

    Parameters
    ----------
    parameters : of a `Latent`.
    known : (K, K) labels by true decision (row) and the judge's (column).

    Returns
    -------
    (p, p) Fisher information.
    """
    information = np.zeros((len(parameters), len(parameters)))
    scales = np.repeat([ATOM_SCALE, SHAPE_SCALE], K)
    information[range(N_POPULATION), range(N_POPULATION)] = scales**-2.0
    rates = _confusion(parameters[N_POPULATION:])
    for t in range(K):
        wrong = OFF_DIAGONAL[t]
        some = rates[t, wrong]
        place = slice(N_POPULATION + t * (K - 1), N_POPULATION + (t + 1) * (K - 1))
        information[place, place] = known[t].sum() * (np.diag(some) - np.outer(some, some))
    return information


def _population(parameters: Floats) -> Floats:
    # the shape parameters are a Dirichlet distribution's weights less 1: logarithms of its density, but for a constant
    logs = _TRAITS @ np.clip(parameters, -LARGEST, LARGEST) + _STANDS_FOR
    logs[_INSIDE] -= logsumexp(logs[_INSIDE])
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _confusion(errors: Floats) -> Floats:
    logs = np.zeros((K, K))
    logs[OFF_DIAGONAL] = np.clip(errors, -LARGEST, LARGEST)
    rates = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(rates / rates.sum(axis=1, keepdims=True))


def _posterior(parameters: Floats, counts: Ints) -> tuple[Floats, Floats]:
    """(D, G) chances of the points given each row's counts, and (G, K) logarithms of the judge's decision shares."""
    judged = np.log(POINTS @ _confusion(parameters[N_POPULATION:]))
    logs = counts @ judged.T + np.log(_population(parameters[:N_POPULATION]) + 1e-300)
    chances = np.exp(logs - logs.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True), judged


def _log_likelihood(parameters: Floats, counts: Ints) -> tuple[Floats, Floats]:
    """(D,) each row's log-likelihood without its multinomial coefficient, and (D, p) its slope."""
    rates = _confusion(parameters[N_POPULATION:])
    shares = _population(parameters[:N_POPULATION])
    judged = POINTS @ rates
    logs = counts @ np.log(judged).T + np.log(shares + 1e-300)
    top = logs.max(axis=1, keepdims=True)
    chances = np.exp(logs - top)
    total = chances.sum(axis=1, keepdims=True)
    chances /= total
    traits = _TRAITS.copy()
    traits[_INSIDE, K:] -= shares[_INSIDE] @ _TRAITS[_INSIDE, K:] / shares[_INSIDE].sum()
    of_population = chances @ traits - shares @ traits
    # slope of log (p C)_j by log odds of the error (t, k): p_t C_tk (1[j = k] - C_tj) / (p C)_j
    parts = []
    ratio = POINTS[:, :, None] / judged[:, None, :]  # (G, t, j)
    for t in range(K):
        by_point = chances @ ratio[:, t, :]  # (D, j)
        weighted = counts * by_point
        inner = weighted @ rates[t]
        parts += [rates[t, k] * (weighted[:, k] - inner) for k in range(K) if k != t]
    return top[:, 0] + np.log(total[:, 0]), np.column_stack([of_population, *parts])


def _beliefs(parameters: Floats, known: Floats, vertices: bool) -> tuple[float, Floats]:
    """The labels' log-likelihood and the weak beliefs, and their slope."""
    population, errors = parameters[:N_POPULATION], parameters[N_POPULATION:]
    centre = np.concatenate([np.full(K, ATOM_CENTRE), np.full(K, SHAPE_CENTRE)])
    scales = np.repeat([ATOM_SCALE, SHAPE_SCALE], K)
    away = (population - centre) / scales
    away[:K] *= vertices
    rates = _confusion(errors)
    value = float((known * np.log(rates)).sum() - 0.5 * away @ away)
    slope = (known - known.sum(axis=1, keepdims=True) * rates)[OFF_DIAGONAL]
    return value, np.concatenate([-away / scales, slope])


def _by_point(counts: Ints, weights: Ints) -> Floats:
    """(G, 3) what each of `POINTS` would show at the prompts' own numbers of responses, in the order of `FIGURES`."""
    numbers, place = np.unique(counts.sum(axis=1), return_inverse=True)
    shares = np.bincount(place, weights=weights) / weights.sum()
    logs = np.log(np.maximum(POINTS, 1e-300))
    largest, flipped = np.zeros(len(POINTS)), np.zeros(len(POINTS))
    for n, share in zip(numbers.tolist(), shares, strict=True):
        drawn = compositions(int(n))
        chances = np.exp(gammaln(n + 1) - gammaln(drawn + 1).sum(axis=1) + logs @ drawn.T)
        largest += share * (chances @ (drawn.max(axis=1) / n))
        flipped += share * (1 - (POINTS**n).sum(axis=1))
    return np.column_stack([largest, (POINTS**2).sum(axis=1), flipped])
