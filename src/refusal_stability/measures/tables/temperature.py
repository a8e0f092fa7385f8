"""Tables that ask whether stability changes with temperature."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.comparison import DECIMALS, friedman, kendalls_w, wilcoxon, with_holm
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.effective_units import effective_units_of_ratios
from refusal_stability.measures.estimates import OfTotals, Row, Scope, estimates
from refusal_stability.measures.stability import ssi, ssi_pairwise
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.tables.columns import POOLED

DIFFERENCES = ["mean_difference", "mean_ssi_pairwise_difference"]


def _blocks(study: DecisionArrays) -> Iterator[tuple[str, str, Ints]]:
    """(model, intervention, counts (M, P, T, 3)): each group by itself, then, for several models, all of them."""
    by_intervention: dict[str, list[Ints]] = {}
    for group in study.groups:
        by_intervention.setdefault(group.intervention, []).append(group.counts_by_temperature)
        yield group.model, group.intervention, group.counts_by_temperature[None]
    for intervention, several in by_intervention.items():
        if len(several) > 1:
            yield POOLED, intervention, np.stack(several)


def temperature_tests(study: DecisionArrays, settings: Settings) -> list[Row]:
    """Friedman's test over the prompts that every temperature decided, per model and pooled over models."""
    rows = []
    for model, intervention, counts in _blocks(study):
        blocks = ssi(counts).reshape(-1, counts.shape[2])
        distinct = distinct_rows(blocks[~np.isnan(blocks).any(axis=1)])
        test = friedman(distinct.rows, distinct.weights)
        rows.append(
            {
                "model": model,
                "intervention": intervention,
                "test": "Friedman",
                "n_blocks": test.n,
                "n_temperatures": blocks.shape[1],
                "statistic": test.statistic,
                "degrees_of_freedom": test.degrees_of_freedom,
                "p_value": test.p_value,
                "kendalls_w": kendalls_w(test),
                "independent_blocks": model != POOLED,
            }
        )
    return rows


def temperature_pairs(study: DecisionArrays, settings: Settings) -> list[Row]:
    """Wilcoxon's test and the mean difference for every pair of temperatures; Holm over the pairs of a model."""
    rows = []
    for model, intervention, counts in _blocks(study):
        family = []
        figures = (ssi(counts), ssi_pairwise(counts), counts.sum(axis=-1))
        for a, b in combinations(range(len(study.temperatures)), 2):
            temperatures = (study.temperatures[a], study.temperatures[b])
            place: Row = {"model": model, "intervention": intervention}
            place |= {"temperature_a": temperatures[0], "temperature_b": temperatures[1]}
            scope = ("temperature pairs", model, intervention, *temperatures)
            first, second = ([figure[..., t] for figure in figures] for t in (a, b))
            family.append(place | _pair(first, second, settings, scope, model != POOLED))
        rows += with_holm(family)
    return rows


def _pair(
    first: list[NDArray[Any]],
    second: list[NDArray[Any]],
    settings: Settings,
    scope: tuple[object, ...],
    independent: bool,
) -> Row:
    """One pair of temperatures, each side's ssi, ssi_pairwise and decisions (M, P).

    The test is over all rows, the intervals over prompts.
    """
    difference, unbiased = (np.round(b - a, DECIMALS) for a, b in zip(first[:2], second[:2], strict=True))
    both = ~np.isnan(difference)
    distinct = distinct_rows(difference[both][:, None])
    test = wilcoxon(distinct.rows[:, 0], distinct.weights)
    # A prompt stays whole when it is resampled: its rows under all models come and go together.
    sums = [np.nansum(values, axis=0).round(DECIMALS) for values in (difference, unbiased)]
    prompts = distinct_rows(np.column_stack([*sums, both.sum(axis=0), (~np.isnan(unbiased)).sum(axis=0)]))
    units = effective_units_of_ratios(prompts.rows[:, :2], prompts.rows[:, 2:], prompts.weights)
    row = {
        "test": "Wilcoxon",
        "n_pairs": int(both.sum()),
        "n_different": test.n,
        "mean_n_a": _mean(first[2][both]),
        "mean_n_b": _mean(second[2][both]),
        "mean_a": _mean(first[0][both]),
        "mean_b": _mean(second[0][both]),
        "statistic": test.statistic,
        "p_value": test.p_value,
        "independent_blocks": independent,
    }
    own = np.array([_mean(values[~np.isnan(values)]) for values in (difference, unbiased)])
    where = Scope(settings.resampling, prompts.weights, scope)
    return row | estimates(DIFFERENCES, OfTotals(prompts.rows, _ratios, units), where, own=own)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _ratios(totals: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[:, :2] / totals[:, 2:], dtype=np.float64)
