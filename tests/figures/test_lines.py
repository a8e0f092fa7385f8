"""Names at the ends of lines keep clear of each other and move as little as they can."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_study import synthetic_study

from refusal_stability.figures.lines import nearest_rising, spread
from refusal_stability.figures.threshold_sensitivity import threshold_sensitivity


def test_two_names_on_one_spot_move_apart_by_half_their_height_each() -> None:
    # Both want 5 and are 2 high: centres 4 and 6 are 2 apart and as near to 5 as can be.
    assert spread([5, 5], [2, 2], 0, 10) == pytest.approx([4, 6])


def test_names_of_different_height_touch_without_overlapping() -> None:
    # Heights 1 and 3 need centres (1 + 3) / 2 = 2 apart: 5 - 1 and 5 + 1.
    assert spread([5, 5], [1, 3], 0, 10) == pytest.approx([4, 6])


def test_names_with_room_stay_where_they_are() -> None:
    assert spread([8, 1, 5], [1, 1, 1], 0, 10) == pytest.approx([8, 1, 5])


def test_names_at_the_edge_are_pushed_inside() -> None:
    assert spread([0, 0], [2, 2], 0, 10) == pytest.approx([1, 3])


def test_no_names_need_no_room() -> None:
    assert spread([], [], 0, 1).size == 0


@given(st.lists(st.tuples(st.floats(-5, 15), st.floats(0.1, 6)), min_size=1, max_size=12))
def test_names_never_overlap_nor_leave_the_axis_and_keep_their_order(names) -> None:
    wanted, sizes = (np.array(column) for column in zip(*names, strict=True))
    placed = spread(wanted, sizes, 0, 10)
    shrunk = sizes * min(1, 10 / sizes.sum())
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(placed[order]) >= (shrunk[order][:-1] + shrunk[order][1:]) / 2 - 1e-9).all()
    assert (placed - shrunk / 2 >= -1e-9).all()
    assert (placed + shrunk / 2 <= 10 + 1e-9).all()


def test_values_that_fall_are_pooled_to_their_mean() -> None:
    # 3, 1 fall: both become 2. Then 2, 2, 5 rises, and 5, 4 become 4.5.
    assert nearest_rising(np.array([3.0, 1.0, 5.0, 4.0])) == pytest.approx([2, 2, 4.5, 4.5])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=15))
def test_the_nearest_rising_values_are_scipys(wanted) -> None:
    from scipy.optimize import isotonic_regression

    values = np.array(wanted)
    assert nearest_rising(values) == pytest.approx(isotonic_regression(values).x, abs=1e-9)


def test_each_name_of_a_model_under_several_interventions_has_a_piece_of_its_own_line() -> None:
    study = synthetic_study({"only": None}, interventions=("none", "careful", "examples"))
    axes = threshold_sensitivity(study.tables, study.series_set).axes[0]
    edge = axes.get_xlim()[1]
    pieces = [line for line in axes.get_lines() if min(line.get_xdata()) > edge and len(line.get_xdata()) == 2]
    heights = {text.get_text().replace("\n", " "): text.xy[1] for text in axes.texts}
    assert len(pieces) == len(heights) == 3
    assert len({str(piece._unscaled_dash_pattern) for piece in pieces}) == 3
    drawn = {str(line._unscaled_dash_pattern) for line in axes.get_lines() if len(line.get_xdata()) > 2}
    assert {str(piece._unscaled_dash_pattern) for piece in pieces} == drawn
    assert sorted(heights.values()) == pytest.approx(sorted(piece.get_ydata()[0] for piece in pieces))


def test_where_all_lines_are_alike_a_name_has_its_marker_only() -> None:
    study = synthetic_study()
    axes = threshold_sensitivity(study.tables, study.series_set).axes[0]
    beyond = [line for line in axes.get_lines() if min(line.get_xdata()) > axes.get_xlim()[1]]
    assert {line.get_linestyle() for line in beyond} == {"None"}
