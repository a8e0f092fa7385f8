"""Tables that ask whether stability changes with temperature."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from refusal_stability.measures.aggregate import Row, with_bounds
from refusal_stability.measures.comparison import friedman, kendalls_w, wilcoxon, with_holm
from refusal_stability.measures.cubes import Study
from refusal_stability.measures.distinct import Floats, distinct_rows
from refusal_stability.measures.intervals import bootstrap_totals
from refusal_stability.measures.stability import ssi
from refusal_stability.measures.tables.settings import ALL, Settings


def _blocks(study: Study) -> Iterator[tuple[str, str, Floats]]:
    """(model, intervention, ssi (M, P, T)): each group by itself, then, for several models, all of them stacked."""
    by_intervention: dict[str, list[Floats]] = {}
    for group in study.groups:
        values = ssi(group.counts_by_temperature)
        by_intervention.setdefault(group.intervention, []).append(values)
        yield group.model, group.intervention, values[None]
    for intervention, several in by_intervention.items():
        if len(several) > 1:
            yield ALL, intervention, np.stack(several)


def temperature_tests(study: Study, settings: Settings) -> list[Row]:
    """Friedman's test over the prompts that every temperature decided, per model and pooled over models."""
    rows = []
    for model, intervention, values in _blocks(study):
        blocks = values.reshape(-1, values.shape[-1])
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
                "independent_blocks": model != ALL,
            }
        )
    return rows


def temperature_pairs(study: Study, settings: Settings) -> list[Row]:
    """Wilcoxon's test and the mean difference for every pair of temperatures; Holm over the pairs of a model."""
    rows = []
    for model, intervention, values in _blocks(study):
        family = []
        for a, b in combinations(range(len(study.temperatures)), 2):
            temperatures = (study.temperatures[a], study.temperatures[b])
            place: Row = {"model": model, "intervention": intervention}
            place |= {"temperature_a": temperatures[0], "temperature_b": temperatures[1]}
            rng = settings.resampling.rng("temperature pairs", model, intervention, *temperatures)
            family.append(place | _pair(values[..., a], values[..., b], settings, rng, model != ALL))
        rows += with_holm(family)
    return rows


def _pair(first: Floats, second: Floats, settings: Settings, rng: np.random.Generator, independent: bool) -> Row:
    """One pair of temperatures, values (M, P): the test over all rows, the interval over prompts."""
    difference = second - first
    both = ~np.isnan(difference)
    distinct = distinct_rows(difference[both][:, None])
    test = wilcoxon(distinct.rows[:, 0], distinct.weights)
    # A prompt stays whole when it is resampled: its rows under all models come and go together.
    prompts = distinct_rows(np.column_stack([np.where(both, difference, 0.0).sum(axis=0), both.sum(axis=0)]))
    totals = bootstrap_totals(prompts.rows, prompts.weights, settings.resampling.n_resamples, rng)
    with np.errstate(invalid="ignore", divide="ignore"):
        bounds = settings.resampling.bounds(["mean_difference"], totals[:, :1] / totals[:, 1:], len(difference[0]))
    row = {
        "test": "Wilcoxon",
        "n_pairs": int(both.sum()),
        "n_different": test.n,
        "mean_a": _mean(first[both]),
        "mean_b": _mean(second[both]),
        "statistic": test.statistic,
        "p_value": test.p_value,
        "independent_blocks": independent,
    }
    return row | with_bounds(["mean_difference"], np.array([_mean(difference[both])]), bounds)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
