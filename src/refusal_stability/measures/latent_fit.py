"""The most likely population of true shares for a confusion matrix, and the matrix that labels and counts suggest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refusal_stability.measures.confusion_odds import FURTHEST, confusion_of, error_scores, label_likelihood
from refusal_stability.measures.distinct import Floats, Ints
from refusal_stability.measures.mixture import mixture_weights

SLACK = 16.0  # deviance that a confusion matrix may lose against a faultless judge before it counts as contradicted
BEND = 4.0  # deviance over which that begins to count in full
LEAST_GAIN = 0.03  # a step that promises less log-likelihood is not taken
STEPS = 25
LONGEST = 1.5  # step of a log odds
GROWS, SHRINKS = 2.5, 0.35  # of the steps


@dataclass(frozen=True)
class Evidence:
    """What a study and its labels show.

    Attributes
    ----------
    counts, weights : (D, K) the judge's decisions, and (D,) how many prompts show each row.
    known : (K, K) labelled responses by true decision (row) and the judge's (column), above 0.
    points : (G, K) the true shares that a prompt may have.
    faultless : largest log-likelihood of the counts if the judge made no error.
    """

    counts: Ints
    weights: Floats
    known: Floats
    points: Floats
    faultless: float


@dataclass(frozen=True)
class ErrorFit:
    """A confusion matrix with the most likely population, and with the one that also has a high or low figure.

    Attributes
    ----------
    odds : (K (K - 1),) log odds of the errors.
    shares, tilted : (G,) how often the prompts have each point as their true shares.
    height : what is maximised: the log-likelihood, of the study given the errors and of the labels, plus the tilt.
    deviance : of `tilted` and of the labels.
    contradicted : the part of it that `contradiction` adds.
    push, metric : slope of the height by the odds, and about minus its curvature.
    """

    odds: Floats
    shares: Floats
    tilted: Floats
    height: float
    deviance: float
    contradicted: float
    push: Floats
    metric: Floats


def contradiction(deviance: float) -> tuple[float, float, float]:
    """What a confusion matrix that the counts contradict loses.

    Parameters
    ----------
    deviance : of the counts with this matrix, against a faultless judge.

    Returns
    -------
    value, slope, curvature
        0 up to `SLACK`, which a true matrix loses because the population fits chance where the judge may make no
        error. Above, it rises as the deviance does, smoothly at first.
    """
    over = max(deviance - SLACK, 0.0)
    if over < BEND:
        return over**2 / (2 * BEND), over / BEND, float(over > 0) / BEND
    return over - BEND / 2, 1.0, 0.0


def placed(evidence: Evidence, odds: Floats, starts: tuple[Floats, Floats], tilt: Floats | None = None) -> ErrorFit:
    """The most likely populations for a confusion matrix, without and with a tilt.

    Parameters
    ----------
    evidence : the study and its labels.
    odds : (K (K - 1),) log odds of the errors.
    starts : (G,) each, shares of the points to start the search from.
    tilt : (G,) what the log-likelihood gains per unit of a point's share.

    Returns
    -------
    ErrorFit
    """
    m, points = evidence.weights, evidence.points
    chances, scale = densities(evidence.counts, points, confusion_of(odds))
    shares = mixture_weights(chances, m, starts[0])
    mixed = chances @ shares
    likelihood, score, metric = label_likelihood(evidence.known, odds)
    lost, slope, bend = contradiction(2 * (evidence.faultless - float(m @ (np.log(mixed) + scale))))
    used = np.flatnonzero(shares)
    ratio = chances[:, used] / mixed[:, None]
    scores = error_scores(evidence.counts, points[used], odds, ratio * shares[used])
    own = m @ scores
    push, height, within, tilted = score + slope * own, likelihood - lost / 2, 0.0, shares
    if lost:
        # information on the errors that is left when the population adapts to them
        weighted = ratio * m[:, None]
        cross, square = weighted.T @ scores, weighted.T @ ratio
        adapted = np.linalg.lstsq(square + 1e-9 * np.trace(square) * np.eye(len(used)), cross, rcond=None)[0]
        metric = metric + slope * ((scores * m[:, None]).T @ scores - cross.T @ adapted) + 2 * bend * np.outer(own, own)
    if tilt is not None:
        tilted = mixture_weights(chances, m, starts[1], tilt)
        within = float(m @ (np.log(mixed) - np.log(chances @ tilted)))
        height += float(tilt @ tilted) - within
        some = np.flatnonzero(tilted)
        theirs = chances[:, some] * tilted[some]
        theirs /= theirs.sum(axis=1, keepdims=True)
        push = np.asarray(push + m @ error_scores(evidence.counts, points[some], odds, theirs) - own)
    deviance = lost - 2 * likelihood + 2 * max(within, 0.0)
    return ErrorFit(odds, shares, tilted, height, deviance, lost, push, metric + 1e-3 * np.eye(len(odds)))


def climbed(evidence: Evidence, start: ErrorFit, tilt: Floats | None = None) -> ErrorFit:
    """The confusion matrix of the largest height, by quasi-Newton steps.

    Parameters
    ----------
    evidence : the study and its labels.
    start : where to begin.
    tilt : (G,) as in `placed`.

    Returns
    -------
    ErrorFit
    """

    def at(odds: Floats, near: ErrorFit) -> ErrorFit:
        return placed(evidence, np.clip(odds, -FURTHEST, FURTHEST), (near.shares, near.tilted), tilt)

    place, step = at(start.odds, start), 1.0
    for _ in range(STEPS):
        move = np.linalg.solve(place.metric, place.push)
        if place.push @ move < LEAST_GAIN:
            break
        step = min(step, LONGEST / max(float(abs(move).max()), 1e-12))
        tried = at(place.odds + step * move, place)
        if tried.height > place.height:
            place, step = tried, min(1.0, GROWS * step)
        else:
            step *= SHRINKS
    return place


def densities(counts: Ints, points: Floats, confusion: Floats) -> tuple[Floats, Floats]:
    """Chance of each row of counts, at each point.

    Parameters
    ----------
    counts : (D, K) decisions by the judge.
    points : (G, K) true shares.
    confusion : (K, K) chance of the judge's decision (column) by the true one (row).

    Returns
    -------
    chances : (D, G) without the multinomial coefficient; each row's largest is 1.
    scale : (D,) logarithm of what the row was divided by.
    """
    logs = counts @ np.log(np.maximum(points @ confusion, 1e-300)).T
    top = logs.max(axis=1)
    return np.maximum(np.exp(logs - top[:, None]), 1e-200), top
