"""Simulated studies with a known judge error: how far off stability is, and what corrected intervals cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.judge_error import LEAST_INVERTED, LEAST_LABELS, agreement_interval, pairs_of
from refusal_stability.measures.latent_decisions import FIGURES, fit_latent
from refusal_stability.measures.stability import K, flips, ssi, ssi_pairwise

TRUTH_PROMPTS = 200_000
CONFIDENCE = 0.95
MIXED_STEADY = 0.5
PLANNED_STUDIES = 10
MOSTLY = 0.8  # of the planned studies that reach a width: half of them are wider than the mean
MOST_REFUSED = 50  # draws of labels for each study
INVERTED = 500  # resamples of each interval by the inverse confusion
SURELY_KNOWN = 1e6  # labels of each decision: errors that are assumed are as good as certain

Population = Callable[[int, np.random.Generator], Floats]


def _mixed(n: int, rng: np.random.Generator) -> Floats:
    shares = rng.dirichlet([0.5, 0.15, 0.1], size=n)
    always = rng.random(n) < MIXED_STEADY
    shares[always] = np.eye(K)[rng.choice(K, p=[0.7, 0.05, 0.25], size=int(always.sum()))]
    return shares


POPULATIONS: dict[str, Population] = {
    "Dirichlet (0.5, 0.15, 0.1)": lambda n, rng: rng.dirichlet([0.5, 0.15, 0.1], size=n),
    "half of them always decided alike": _mixed,
    "Dirichlet (1, 0.02, 0.01)": lambda n, rng: rng.dirichlet([1.0, 0.02, 0.01], size=n),
}


def _confined(n: int, rng: np.random.Generator) -> Floats:
    shares = rng.dirichlet([0.3, 0.3, 0.3], size=n)
    always = rng.random(n) < 0.8
    shares[always] = np.eye(K)[rng.choice(K, p=[0.7, 0.02, 0.28], size=int(always.sum()))]
    return shares


def _logistic_normal(n: int, rng: np.random.Generator) -> Floats:
    logs = rng.normal([2.0, 0.0, -1.0], 2.0, size=(n, K))
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _two_kinds(n: int, rng: np.random.Generator) -> Floats:
    steady = rng.random((n, 1)) < 0.7
    return np.where(steady, rng.dirichlet([20.0, 0.5, 0.3], size=n), rng.dirichlet([1.0, 1.0, 3.0], size=n))


def _half_at_even_odds(n: int, rng: np.random.Generator) -> Floats:
    kinds = np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    return np.asarray(kinds[rng.choice(K, p=[0.48, 0.48, 0.04], size=n)])


def _power_law(n: int, rng: np.random.Generator) -> Floats:
    away = 10 ** rng.uniform(-4, np.log10(0.5), size=n)
    part = rng.beta(0.5, 0.5, size=n)
    shares = np.column_stack([1 - away, away * part, away * (1 - part)])
    turn = rng.choice(K, p=[0.6, 0.1, 0.3], size=n)
    return np.asarray(np.take_along_axis(shares, (np.arange(K) - turn[:, None]) % K, axis=1))


def confused_by(error: float) -> Floats:
    """A judge that errs equally often towards every other decision.

    Parameters
    ----------
    error : share of the responses that it misjudges, in [0, 1].

    Returns
    -------
    (K, K) chance of the judge's decision (column) by the true one (row).
    """
    return np.full((K, K), error / (K - 1)) + np.eye(K) * (1 - error - error / (K - 1))


LOPSIDED = np.array([[0.95, 0.03, 0.02], [0.15, 0.7, 0.15], [0.02, 0.08, 0.9]])
LENIENT = np.array([[0.88, 0.09, 0.03], [0.03, 0.92, 0.05], [0.01, 0.04, 0.95]])
# Populations and judges that no choice of the first model rested on. The present one was tried on them.
UNSEEN: dict[str, tuple[Population, Floats]] = {
    "Dirichlet (2, 0.3, 0.6), lopsided errors": (lambda n, rng: rng.dirichlet([2.0, 0.3, 0.6], size=n), LOPSIDED),
    "80 % always decided alike, errors 10 %": (_confined, confused_by(0.1)),
    "logistic-normal, errors 5 %": (_logistic_normal, confused_by(0.05)),
    "70 % near REFUSE, 30 % mixed, errors 15 %": (_two_kinds, confused_by(0.15)),
    "Dirichlet (0.2, 0.03, 0.2), lenient errors": (lambda n, rng: rng.dirichlet([0.2, 0.03, 0.2], size=n), LENIENT),
}
# Drawn up when the choices of the first nonparametric version had been made. Its bounds were revised on the first
# of these two populations.
FRESH: dict[str, tuple[Population, Floats]] = {
    "half REFUSE, half at even odds, 4 % PARTIAL": (_half_at_even_odds, confused_by(0.1)),
    "power law near all three vertices": (_power_law, confused_by(0.1)),
}


def judged_counts(shares: Floats, confusion: Floats, n: int, rng: np.random.Generator) -> Ints:
    """Counts of a judge's decisions on n responses to each prompt.

    Parameters
    ----------
    shares : (P, K) true decision shares.
    confusion : (K, K) chance of the judge's decision (column) by the true one (row).
    n : responses to each prompt.
    rng : the source of randomness.

    Returns
    -------
    (P, K) rows sum to n.
    """
    judged = shares @ confusion
    return np.asarray(rng.multinomial(n, judged / judged.sum(axis=1, keepdims=True)))


def plain_figures(counts: Ints) -> Floats:
    """SSI, agreement of two samples and share of flipped prompts, of decisions as they stand.

    Parameters
    ----------
    counts : (P, K) decisions.

    Returns
    -------
    (3,) in the order of `latent_decisions.FIGURES`.
    """
    return np.array([ssi(counts).mean(), np.nanmean(ssi_pairwise(counts)), flips(counts).mean()])


def simulated_study(
    shares: Floats, confusion: Floats, n_samples: int, n_labels: int, rng: np.random.Generator
) -> tuple[Ints, Floats, int]:
    """A study, and labels of its responses.

    Parameters
    ----------
    shares : (P, K) true decision shares.
    confusion : (K, K) chance of the judge's decision (column) by the true one (row).
    n_samples : responses to each prompt.
    n_labels : randomly drawn responses whose true decision becomes known.
    rng : the source of randomness.

    Returns
    -------
    counts : (P, K) the judge's decisions.
    labelled : (K, K) labels by true decision (row) and the judge's (column).
    refused : how many draws of labels had fewer than `LEAST_LABELS` of a decision. The tool does not correct by these,
        so they are drawn again.
    """
    both = (shares[:, :, None] * confusion).reshape(len(shares), K * K)
    joint = rng.multinomial(n_samples, both / both.sum(axis=1, keepdims=True))
    for refused in range(MOST_REFUSED):
        labelled = rng.multivariate_hypergeometric(joint.sum(axis=0), n_labels).reshape(K, K)
        if (labelled.sum(axis=1) >= LEAST_LABELS).all():
            return joint.reshape(-1, K, K).sum(axis=1), labelled.astype(np.float64), refused
    raise ValueError(f"{n_labels} labels hardly ever hold {LEAST_LABELS} of each decision: take more")


def simulated_correction(
    population: Population, n_prompts: int, n_samples: int, n_labels: int, confusion: Floats, rng: np.random.Generator
) -> tuple[Floats, int]:
    """Simulate a study and correct it.

    Parameters
    ----------
    population : draws true decision shares.
    n_prompts, n_samples : of the study.
    n_labels : responses of the study whose true decision is known, drawn at random.
    confusion : (K, K) chance of the judge's decision (column) by the true one (row).
    rng : the source of randomness.

    Returns
    -------
    found : (4, 4) uncorrected, corrected, low and high (rows) of `FIGURES` by `fit_latent`, then of pairwise agreement
        by the inverse confusion, which is NaN without `LEAST_INVERTED` labels of each decision.
    refused : as in `simulated_study`.
    """
    pairwise = FIGURES.index("ssi_pairwise")
    counts, labelled, refused = simulated_study(population(n_prompts, rng), confusion, n_samples, n_labels, rng)
    distinct = distinct_rows(counts)
    fit = fit_latent(distinct.rows, distinct.weights, labelled)
    each = np.vstack([fit.figures(), *fit.intervals(CONFIDENCE)])
    inverse = np.full(3, np.nan)
    if labelled.sum(axis=1).min() >= LEAST_INVERTED:
        inverse = np.array(agreement_interval(*pairs_of(counts, counts), labelled, INVERTED, CONFIDENCE, rng))
    plain = plain_figures(counts)
    return np.vstack([np.append(plain, plain[pairwise]), np.column_stack([each, inverse])]), refused


def simulated_coverage(
    population: Population, n_prompts: int, n_samples: int, n_labels: int, confusion: Floats, studies: int, seed: int
) -> dict[str, Floats]:
    """Simulate studies and correct each one.

    Parameters
    ----------
    population, n_prompts, n_samples, n_labels, confusion : as in `simulated_correction`.
    studies : how many.
    seed : of the simulation; each study has its own stream, so that more studies hold the fewer ones.

    Returns
    -------
    true, uncorrected, corrected, coverage, width
        (4,) each, in the order of `simulated_correction`: means over the studies, the share of intervals that cover the
        truth, and the median width. NaN where no study is corrected.
    refused, inverted
        Share of the draws of labels that were drawn again, and of the studies that the inverse is used in.
    """
    rng = np.random.default_rng(seed)
    truth = plain_figures(np.asarray(rng.multinomial(n_samples, population(TRUTH_PROMPTS, rng))))
    truth = np.append(truth, truth[FIGURES.index("ssi_pairwise")])
    each, refused = zip(
        *[
            simulated_correction(
                population, n_prompts, n_samples, n_labels, confusion, np.random.default_rng([seed, number])
            )
            for number in range(studies)
        ],
        strict=True,
    )
    uncorrected, corrected, low, high = np.array(each).transpose(1, 0, 2)
    used = ~np.isnan(corrected)
    enough = used.any(axis=0)
    covered = ((low <= truth) & (truth <= high)).sum(axis=0) / np.where(enough, used.sum(axis=0), np.nan)
    means, width = np.full(len(truth), np.nan), np.full(len(truth), np.nan)
    for i in np.flatnonzero(enough):
        means[i] = corrected[used[:, i], i].mean()
        width[i] = np.median((high - low)[used[:, i], i])
    return {
        "true": truth,
        "uncorrected": uncorrected.mean(axis=0),
        "corrected": means,
        "coverage": covered,
        "width": width,
        "refused": np.array(sum(refused) / (sum(refused) + studies)),
        "inverted": np.array(used[:, -1].mean()),
    }


def behind(counts: Ints, error: float) -> Population:
    """The population of true shares behind a pilot's decisions, by a judge whose errors are taken as known.

    Parameters
    ----------
    counts : (P, K) the pilot's decisions.
    error : of the judge, as `confused_by` has it.

    Returns
    -------
    Population
        Draws from the latent model's fit. The pilot's decisions vary more than the true ones, so planning from them as
        they stand would count the judge's errors twice. One more prompt that is always decided alike is added for each
        decision: one that the pilot does not show may still occur.
    """
    prompts = distinct_rows(counts)
    fit = fit_latent(prompts.rows, prompts.weights, SURELY_KNOWN * confused_by(error))
    points = np.concatenate([fit.evidence.points, np.eye(K)])
    shares = np.concatenate([fit.population * len(counts), np.ones(K)]) / (len(counts) + K)

    def drawn(n: int, rng: np.random.Generator) -> Floats:
        return np.asarray(points[rng.choice(len(points), size=n, p=shares)])

    return drawn


def widths_by_labels(
    population: Population, n_prompts: int, n_samples: int, error: float, labels: list[int], seed: int
) -> list[tuple[Floats, float, Floats]]:
    """Half the width of the corrected intervals, by the number of labelled responses, in simulated studies.

    Parameters
    ----------
    population : draws true decision shares.
    n_prompts, n_samples : of the study.
    error : of the judge.
    labels : numbers of labelled responses, drawn at random, in rising order.
    seed : of the simulation; every number of labels gets the same studies, and more labels hold the fewer ones.

    Returns
    -------
    widths, usable, reached : for each number of labels, (3,) the mean in the order of `FIGURES`, at 95 %; the share of
        the studies that have `LEAST_LABELS` of each decision; and (3,) the width that `MOSTLY` of all studies reach.
        Others are not corrected, so their width is infinite; means are NaN where none is.
    """
    rng = np.random.default_rng(seed)
    confusion = confused_by(error)
    found = np.full((len(labels), PLANNED_STUDIES, len(FIGURES)), np.nan)
    kinds = population(TRUTH_PROMPTS, rng).mean(axis=0)
    for study in range(PLANNED_STUDIES):
        prompts = distinct_rows(judged_counts(population(n_prompts, rng), confusion, n_samples, rng))
        labelled, so_far = np.zeros((K, K)), 0
        for i, number in enumerate(labels):
            labelled += drawn_labels(kinds, confusion, number - so_far, rng)
            so_far = number
            if (labelled.sum(axis=1) >= LEAST_LABELS).all():
                low, high = fit_latent(prompts.rows, prompts.weights, labelled).intervals(CONFIDENCE)
                found[i, study] = (high - low) / 2
    usable = np.isfinite(found[:, :, 0])
    means = np.nansum(found, axis=1) / np.where(usable.any(axis=1), usable.sum(axis=1), np.nan)[:, None]
    reached = np.quantile(np.where(np.isnan(found), np.inf, found), MOSTLY, axis=1, method="inverted_cdf")
    return list(zip(means, usable.mean(axis=1).tolist(), reached, strict=True))


def drawn_labels(kinds: Floats, confusion: Floats, n: int, rng: np.random.Generator) -> Floats:
    """Labels of randomly drawn responses.

    Parameters
    ----------
    kinds : (K,) shares of the true decisions.
    confusion : (K, K) chance of the judge's decision (column) by the true one (row).
    n : how many.
    rng : the source of randomness.

    Returns
    -------
    (K, K) labels by true decision (row) and the judge's (column).
    """
    return np.stack(
        [rng.multinomial(m, row) for m, row in zip(rng.multinomial(n, kinds), confusion, strict=True)]
    ).astype(np.float64)
