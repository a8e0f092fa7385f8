"""Tables by harm category. A prompt counts in every one of its categories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import stability_row
from refusal_stability.measures.comparison import DRAWN, RankTest, holm, kruskal_wallis, mann_whitney
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.distinct import Distinct, Floats, Ints, distinct_rows
from refusal_stability.measures.effective_units import effective_units_of_difference
from refusal_stability.measures.estimates import OfWeights, Row, Scope, estimates
from refusal_stability.measures.stability import ssi
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import names
from refusal_stability.tables.columns import POOLED

SMALL = 20  # fewer prompts than this are anecdotes
SEPARATOR = "|"


def membership(categories: NDArray[Any]) -> tuple[list[str], NDArray[np.bool_]]:
    """The categories in alphabetical order, and whether each prompt has each: (P, C). Empty texts are left out."""
    index, texts = pd.factorize(categories.astype(object))
    split = [[part.strip() for part in text.split(SEPARATOR) if part.strip()] for text in texts]
    found = sorted({part for parts in split for part in parts})
    table = np.array([[name in parts for name in found] for parts in split], dtype=bool).reshape(len(split), -1)
    return found, table[index]


def categories(study: DecisionArrays, settings: Settings) -> list[Row]:
    """The stability figures of each category's prompts."""
    found, member = membership(study.categories)
    rows = []
    for group in study.groups:
        for c, category in enumerate(found):
            scope = ("category", group.model, group.intervention, category)
            inside = member[:, c]
            counts, n_asked = group.counts[inside], int(group.sampled_by_temperature[inside].sum())
            figures = stability_row(counts, n_asked, settings.threshold, settings.resampling, *scope, shared=False)
            rows.append(names(group) | {"category": category, "small": figures["n_prompts"] < SMALL} | figures)
    return rows


def category_tests(study: DecisionArrays, settings: Settings) -> list[Row]:
    """Do the categories differ in ssi at all (`*`), and which of them from all the other prompts, after Holm?"""
    found, member = membership(study.categories)
    rows = []
    for group in study.groups:
        if not found:
            continue
        kept = group.counts.sum(axis=1) > 0
        counts, inside = group.counts[kept], member[kept]
        value = ssi(counts)
        # Prompts of no category are no category: they are part of "the others" below, and of nothing here.
        some = inside.any(axis=1)
        rng = settings.resampling.rng("category tests", group.model, group.intervention)
        every = kruskal_wallis(value[some], inside[some], rng)
        levels, level = np.unique(value, return_inverse=True)
        tests = _splits(levels, level, inside, settings, "category tests", group.model, group.intervention)
        if some.all() and len(tests) == 1:  # two categories: the test over all of them is that of either
            every = replace(every, p_value=tests[0][1].p_value, p_from=tests[0][1].p_from)
        rows.append(_row(group, POOLED, "Kruskal-Wallis", every, every.n, 0) | _no_difference(every, settings))
        corrected = holm(np.array([test.p_value for _, test in tests], dtype=np.float64))
        p_holm = {c: float(p) for (columns, _), p in zip(tests, corrected, strict=True) for c in columns}
        split = {c: _of_side(test, inside, columns[0], c) for columns, test in tests for c in columns}
        for c, category in enumerate(found):
            sides = _distinct_sides(levels, level, inside[:, c])
            rng = settings.resampling.rng("category tests", group.model, group.intervention, category)
            row = _category_row(group, category, sides, split[c], settings, rng) | {"p_holm": p_holm[c]}
            rows.append(row | {"differs": row["p_holm"] < 1 - settings.resampling.confidence})
    return rows


def _of_side(test: RankTest, inside: NDArray[np.bool_], tested: int, category: int) -> RankTest:
    """The test of one category's side of a split, where the other side was tested: what one wins, the other loses."""
    own = inside[:, category]
    if np.array_equal(own, inside[:, tested]):
        return test
    return replace(test, statistic=float(own.sum()) * float((~own).sum()) - test.statistic)


def _splits(
    levels: Floats, level: Ints, inside: NDArray[np.bool_], settings: Settings, *scope: object
) -> list[tuple[list[int], RankTest]]:
    """Each different split of the prompts, with the categories that make it and its test.

    Two categories that no prompt shares, and that all prompts have, split the prompts alike: one difference is tested
    once. All tests of a family enumerate, or all draw.
    """
    columns: dict[bytes, list[int]] = {}
    for c in range(inside.shape[1]):
        side = inside[:, c] if len(inside) == 0 or inside[0, c] else ~inside[:, c]
        columns.setdefault(side.tobytes(), []).append(c)
    chosen = list(columns.values())

    def tested(number: int, enumerate_sets: bool) -> RankTest:
        sides = _distinct_sides(levels, level, inside[:, chosen[number][0]])
        rng = settings.resampling.rng(*scope, "split", number)
        return mann_whitney(sides.rows[:, 0], *_sides(sides), rng, enumerate_sets=enumerate_sets)

    tests: list[RankTest] = []
    drawn = False
    for number in range(len(chosen)):
        test = tested(number, enumerate_sets=not drawn)
        if test.p_from == DRAWN and not drawn:
            drawn = True
            tests = [tested(earlier, enumerate_sets=False) for earlier in range(number)]
        tests.append(test)
    return list(zip(chosen, tests, strict=True))


def _row(group: Group, category: str, test: str, result: RankTest, n_inside: int, n_outside: int) -> Row:
    return names(group) | {
        "category": category,
        "test": test,
        "n_inside": n_inside,
        "n_outside": n_outside,
        "statistic": result.statistic,
        "degrees_of_freedom": result.degrees_of_freedom,
        "p_value": result.p_value,
        "p_from": result.p_from,
        "small": n_inside < SMALL,
    }


def _no_difference(test: RankTest, settings: Settings) -> Row:
    """The columns of the test over all categories that only a single category fills; its family is itself."""
    empty = dict.fromkeys(("mean_difference", "mean_difference_low", "mean_difference_high"), float("nan"))
    return empty | {"p_holm": test.p_value, "differs": test.p_value < 1 - settings.resampling.confidence}


def _category_row(
    group: Group, category: str, sides: Distinct, test: RankTest, settings: Settings, rng: np.random.Generator
) -> Row:
    """One category against all the other prompts."""
    inside, outside = _sides(sides)
    row = _row(group, category, "Mann-Whitney", test, int(inside.sum()), int(outside.sum()))
    return row | mean_difference(sides, Scope(settings.resampling, sides.weights, rng=rng))


def _distinct_sides(levels: Floats, level: Ints, inside: NDArray[np.bool_]) -> Distinct:
    """The distinct (value, membership) of prompts that show `levels[level]`; of whole numbers, nothing is sorted."""
    sides = distinct_rows(np.column_stack([level, inside]))
    return Distinct(np.column_stack([levels[sides.rows[:, 0]], sides.rows[:, 1]]), sides.weights, sides.index)


def _sides(sides: Distinct) -> tuple[Ints, Ints]:
    """How many prompts show each distinct (value, membership) as members, and how many as the others."""
    inside = sides.rows[:, 1].astype(np.int64) * sides.weights
    return inside, sides.weights - inside


def mean_difference(sides: Distinct, scope: Scope) -> Row:
    """The members' mean minus the others', of distinct (value, membership); prompts of both are resampled together."""
    value, member = sides.rows.T

    def difference(block: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = [(block @ (value * side)) / (block @ side) for side in (member, 1 - member)]
        return np.asarray(means[0] - means[1])[:, None]

    units = effective_units_of_difference(value, *_sides(sides))
    return estimates(["mean_difference"], OfWeights(difference, units), scope)
