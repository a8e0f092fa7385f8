"""Dot charts draw estimates and intervals where the tables put them, and cut no marker."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability.figures.decomposition import decomposition, seeds_by_temperature
from refusal_stability.figures.dot_chart import limit_dots
from refusal_stability.figures.flip_rate import flip_rate
from refusal_stability.figures.intervention_effect import intervention_effect
from refusal_stability.figures.model_comparison import PANELS, model_comparison
from refusal_stability.figures.style import canvas
from refusal_stability.figures.temperature_effect import temperature_effect


@pytest.fixture(scope="module")
def study() -> SyntheticStudy:
    return synthetic_study(n_prompts=60)


def dots(axes) -> list[float]:
    return [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() not in ("None", "|", "_", None)]


def spans(axes) -> list[np.ndarray]:
    return [segment[:, 0] for lines in axes.collections for segment in lines.get_segments()]


def caps(axes) -> list[np.ndarray]:
    return [line.get_xdata() for line in axes.get_lines() if line.get_marker() == "|"]


def test_flip_rates_and_their_intervals_are_drawn_where_the_table_puts_them(study) -> None:
    left, right = flip_rate(study.tables, study.series_set).axes
    table = study.tables["aggregate_by_model"]
    assert dots(left) == pytest.approx(table["pct_flipped"].tolist())
    assert np.allclose(spans(left), table[["pct_flipped_low", "pct_flipped_high"]])
    assert right.get_ylabel()


def test_an_interval_narrower_than_its_marker_shows_by_its_taller_caps(study) -> None:
    left = flip_rate(study.tables, study.series_set).axes[0]
    assert np.allclose(caps(left), study.tables["aggregate_by_model"][["pct_flipped_low", "pct_flipped_high"]])
    sizes = {
        line.get_marker() == "|": line.get_markersize() for line in left.get_lines() if line.get_marker() != "None"
    }
    assert sizes[True] > 1.5 * sizes[False]


def test_an_interval_of_a_line_that_its_marker_covers_shows_by_its_wider_caps(study) -> None:
    axes = decomposition(study.tables, study.series_set).axes[-1]
    seeds = seeds_by_temperature(study.tables["decomposition"]).sort_values(["temperature"], kind="stable")
    drawn = [line for line in axes.get_lines() if line.get_marker() == "_"]
    ends = [list(line.get_ydata()) for line in drawn]
    for one in study.series_set.series:
        assert all(pair in ends for pair in one.of(seeds)[["share_low", "share_high"]].to_numpy().tolist())
    marker = max(line.get_markersize() for line in axes.get_lines() if line.get_marker() not in ("_", "None", None))
    assert all(line.get_markersize() > 1.3 * marker for line in drawn)


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (5.1, 14.2, 2, [8, 12]),
        (0.757, 0.937, 2, [0.8, 0.9]),
        (0.0, 30.7, 4, [0, 10, 20, 30]),
        (-0.02, 0.03, 2, [-0.02, 0.02]),
        (0.0, 1.0, 2, [0, 1]),
        (0.929, 0.971, 2, [0.94, 0.96]),
    ],
)
def test_an_axis_has_a_few_round_ticks(low: float, high: float, most: int, ticks: list[float]) -> None:
    axes = canvas(2.0).subplots()
    limit_dots(axes, low, high, most)
    assert axes.get_xticks() == pytest.approx(ticks)


@given(
    low=st.floats(-1e3, 1e3),
    width=st.floats(1e-3, 1e3),
    most=st.integers(2, 5),
)
def test_every_axis_has_two_ticks_at_least_and_all_lie_on_it(low: float, width: float, most: int) -> None:
    axes = canvas(2.0).subplots()
    limit_dots(axes, low, low + width, most)
    ticks = axes.get_xticks()
    assert len(ticks) >= 2
    assert min(ticks) >= low - 1e-6 * width
    assert max(ticks) <= low + width + 1e-6 * width


def test_markers_at_the_ends_of_their_scale_are_drawn_whole_on_an_axis_that_ends_there(study) -> None:
    table = study.tables["aggregate_by_model"].copy()
    for end in ("", "_low", "_high"):
        table[f"safety_comply_rate{end}"] = 0.0
        table[f"safety_refuse_rate{end}"] = 1.0
        table[f"mean_ssi{end}"] = 1.0
        table[f"pct_unstable{end}"] = 100.0
    figure = model_comparison({**study.tables, "aggregate_by_model": table}, study.series_set)
    for axes, panel in zip(figure.axes, PANELS, strict=True):
        low, high = axes.spines["bottom"].get_bounds()
        assert low >= 0
        assert high <= (100 if panel.column == "pct_unstable" else 1)
        assert all(low <= tick <= high for tick in axes.get_xticks())
        room = 0.05 * (high - low)
        assert all(axes.get_xlim()[0] + room < x < axes.get_xlim()[1] - room for x in dots(axes))


def test_the_seeds_variance_is_shown_at_each_temperature(study) -> None:
    figure = decomposition(study.tables, study.series_set)
    seeds = seeds_by_temperature(study.tables["decomposition"])
    assert sorted(seeds["temperature"].unique()) == [0.0, 0.3, 0.7, 1.0]
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["Prompt", "Temperature", "Seed", "Judge repeats", "Seed, at each temperature"]
    lines = [line.get_ydata() for line in figure.axes[-1].get_lines() if len(line.get_ydata()) == 4]
    expected = [one.of(seeds).sort_values("temperature")["share"].tolist() for one in study.series_set.series]
    assert np.allclose(lines, expected)


def test_a_study_of_one_temperature_has_no_panel_of_temperatures() -> None:
    study = synthetic_study(temperatures=(0.7,))
    titles = [axes.get_title("left") for axes in decomposition(study.tables, study.series_set).axes]
    assert "Temperature" not in titles


def test_decisions_are_drawn_without_the_benign_prompts() -> None:
    study = synthetic_study(n_prompts=30, harms=("harmful", "benign"))
    table = study.tables["aggregate_by_model"]
    comply = model_comparison(study.tables, study.series_set).axes[2]
    assert comply.get_title("left") == "COMPLY"
    assert dots(comply) == pytest.approx(table["safety_comply_rate"].tolist())
    assert not np.allclose(table["safety_comply_rate"], table["mean_comply_rate"])
    left = temperature_effect(study.tables, study.series_set).axes[0]
    lines = [line.get_ydata() for line in left.get_lines() if len(line.get_ydata()) == 4]
    by = study.tables["aggregate_by_temperature"]
    assert np.allclose(lines, [one.of(by)["safety_comply_rate"].tolist() for one in study.series_set.series])


def test_the_changes_by_an_intervention_are_drawn_in_points_beside_a_line_at_0() -> None:
    study = synthetic_study(n_prompts=30, interventions=("none", "careful"), harms=("harmful", "benign"))
    table = study.tables["interventions"]
    pooled = table[table["temperature"].isna()]
    figure = intervention_effect(study.tables, study.series_set)
    wanted = {
        "Mean SSI": pooled["mean_difference"],
        "Flips": pooled["pct_flipped_difference"],
        "Refusals, harmful": 100 * pooled["safety_refuse_rate_difference"],
        "Refusals, benign": 100 * pooled["over_refusal_difference"],
    }
    assert [axes.get_title("left") for axes in figure.axes] == list(wanted)
    for axes, values in zip(figure.axes, wanted.values(), strict=True):
        assert dots(axes) == pytest.approx(values.tolist())
        assert any(list(line.get_xdata()) == [0, 0] for line in axes.get_lines())
        assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]
    without = synthetic_study(n_prompts=30, interventions=("none", "careful"))
    assert len(intervention_effect(without.tables, without.series_set).axes) == 3  # no benign prompt


@pytest.mark.parametrize("models", ["a", "abcdefgh", "abcdefghijklmnopqrst"])
def test_the_bar_of_a_decision_stands_between_its_panel_and_its_title(models: str) -> None:
    many = synthetic_study(dict.fromkeys(models), n_prompts=20)
    figure = model_comparison(many.tables, many.series_set)
    figure.draw_without_rendering()
    for panel, axes in zip(PANELS, figure.axes, strict=True):
        bars = [line for line in axes.get_lines() if line.get_linewidth() == 3 and not line.get_clip_on()]
        assert len(bars) == (panel.decision is not None)
        for bar in bars:
            height = bar.get_window_extent().y0
            half = bar.get_linewidth() / 2 * figure.dpi / 72
            assert axes.get_window_extent().y1 < height - half
            assert height + half < axes._left_title.get_window_extent().y0
