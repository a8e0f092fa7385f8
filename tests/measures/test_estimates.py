"""Estimates with bounds: the same figure written in different ways has the same interval."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_stability.measures.effective_units import effective_units
from refusal_stability.measures.estimates import Drawn, OfTotals, OfWeights, Resampling, Scope, estimates, renamed
from refusal_stability.measures.intervals import weighted_means

VALUES = np.array([[0.2, 1.0], [0.7, np.nan], [0.9, 3.0]])
WEIGHTS = np.array([5, 3, 2])
RESAMPLING = Resampling(400, 0.95, lambda *name: np.random.default_rng(len(str(name))))
SCOPE = Scope(RESAMPLING, WEIGHTS, ("a", "scope"))
UNITS = effective_units(VALUES, WEIGHTS)


def ratios(totals):
    with np.errstate(invalid="ignore"):
        return totals[:, :2] / totals[:, 2:]


def test_means_have_the_same_bounds_as_functions_of_weights_and_of_totals() -> None:
    means = estimates(["x", "y"], VALUES, SCOPE)
    parts = np.column_stack([np.nan_to_num(VALUES), ~np.isnan(VALUES)])
    of_weights = OfWeights(lambda block: weighted_means(VALUES, block), UNITS)
    assert list(means) == ["x", "x_low", "x_high", "y", "y_low", "y_high"]
    assert means["x"] == pytest.approx((5 * 0.2 + 3 * 0.7 + 2 * 0.9) / 10)
    assert means["x_low"] < means["x"] < means["x_high"]
    for other in (of_weights, OfTotals(parts, ratios, UNITS)):
        assert estimates(["x", "y"], other, SCOPE) == pytest.approx(means)


def test_what_was_drawn_already_and_what_is_known_more_exactly_is_taken_as_it_is() -> None:
    drawn = Drawn(np.array([0.5]), np.linspace(0, 1, 101)[:, None], np.inf)
    assert estimates(["x"], drawn, SCOPE) == pytest.approx({"x": 0.5, "x_low": 0.025, "x_high": 0.975})
    assert estimates(["x"], drawn, SCOPE, own=np.array([0.6]))["x"] == 0.6


def test_tables_that_share_a_scope_share_its_resamples() -> None:
    shared = Scope(RESAMPLING, WEIGHTS, ("shared",), shared=True)
    alone = estimates(["x"], VALUES[:, :1], shared)
    together = estimates(["x", "y"], VALUES, shared)
    assert alone == pytest.approx({name: together[name] for name in alone})
    assert list(RESAMPLING.kept) == [("shared", WEIGHTS.tobytes())]


def test_without_a_unit_nothing_is_known() -> None:
    nothing = estimates(["x"], np.empty((0, 1)), Scope(RESAMPLING, np.empty(0, dtype=np.int64), ("none",)))
    assert all(np.isnan(value) for value in nothing.values())


def test_one_estimate_can_go_by_another_name() -> None:
    row = {"x 3": 1.0, "x 3_low": 0.0, "x 3_high": 2.0, "y": 5.0}
    assert renamed(row, "x 3", "x") == {"x": 1.0, "x_low": 0.0, "x_high": 2.0}
