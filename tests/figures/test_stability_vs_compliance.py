"""Stability against compliance: areas are numbers of prompts, groups are named for what they are, none is hidden."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability.figures.palette import DECISION_COLOURS
from refusal_stability.figures.stability_vs_compliance import ASIDE, _apart, stability_vs_compliance
from refusal_stability.records import Decision


@pytest.fixture(scope="module")
def study() -> SyntheticStudy:
    return synthetic_study(n_prompts=200, n_seeds=2, temperatures=(0.0, 0.7))


def circles(axes):
    return axes.collections[-1]


def test_each_group_is_named_with_its_count_and_share(study) -> None:
    figure = stability_vs_compliance(study.tables, study.series_set)
    for axes, one in zip(figure.axes, study.series_set.series, strict=True):
        prompts = one.of(study.tables["per_prompt_metrics"])
        row = one.of(study.tables["aggregate_by_model"]).iloc[0]
        stable = prompts[~prompts["unstable"]]["majority"].value_counts()
        assert stable["PARTIAL"] + stable["COMPLY"] == row["n_steady_help"]
        counts = {f"stable {d.value}": stable[d.value] for d in Decision} | {"unstable": row["n_wavering"]}
        texts = [text.get_text() for text in axes.texts]
        for words, count in counts.items():
            assert f"{words}\n{count} ({count / len(prompts):.0%})" in texts


def areas_seen(drawn) -> np.ndarray:
    """What is seen of the circles: without a white edge, which the ground has, and with a grey one."""
    widths = np.array(drawn.get_linewidths())
    white = np.array([to_hex(colour).upper() == "#FFFFFF" for colour in drawn.get_edgecolors()])
    return (np.sqrt(drawn.get_sizes()) + np.where(white, -widths, widths)) ** 2


def test_what_is_seen_of_a_circle_is_its_number_of_prompts_on_one_scale_for_all_panels_and_the_key(study) -> None:
    figure = stability_vs_compliance(study.tables, study.series_set)
    areas = [areas_seen(circles(axes)) for axes in figure.axes]
    one_prompt = sum(map(np.sum, areas)) / (200 * len(areas))
    for panel in areas:
        assert np.allclose(panel / one_prompt, np.round(panel / one_prompt))
        assert round(panel.sum() / one_prompt) == 200
    (legend,) = figure.legends
    key = {text.get_text().split(" ")[0]: line for text, line in zip(legend.texts, legend.get_lines(), strict=True)}
    for number in ("1", "10"):
        assert (key[number].get_markersize() + key[number].get_markeredgewidth()) ** 2 / one_prompt == pytest.approx(
            int(number)
        )


def test_groups_at_one_place_stand_beside_each_other_in_the_order_of_the_decisions() -> None:
    rows = [("PARTIAL", 40), ("COMPLY", 90), ("REFUSE", 1)]
    spots = pd.DataFrame({"x": 0.5, "y": 0.5, "majority": [m for m, _ in rows], "prompts": [n for _, n in rows]})
    placed = _apart(spots, 1.0, 0.01).set_index("majority")
    across = 0.01 * np.sqrt(placed["prompts"]).clip(lower=ASIDE / 0.01)
    assert placed.loc["REFUSE", "x"] < placed.loc["PARTIAL", "x"] < placed.loc["COMPLY", "x"]
    for left, right in (("REFUSE", "PARTIAL"), ("PARTIAL", "COMPLY")):
        gap = placed.loc[right, "x"] - placed.loc[left, "x"]
        assert gap == pytest.approx((across[left] + across[right]) / 2)
    outer = placed["x"].min() - across["REFUSE"] / 2, placed["x"].max() + across["COMPLY"] / 2
    assert sum(outer) / 2 == pytest.approx(0.5)


def test_the_axes_end_where_the_shares_do(study) -> None:
    for axes in stability_vs_compliance(study.tables, study.series_set).axes:
        assert axes.spines["bottom"].get_bounds() == (0, 1)
        assert axes.spines["left"].get_bounds() == pytest.approx((1 / 3, 1))


def test_no_circle_is_hidden_by_another(study) -> None:
    for axes in stability_vs_compliance(study.tables, study.series_set).axes:
        drawn = circles(axes)
        places, sizes = drawn.get_offsets(), np.round(areas_seen(drawn), 6)
        for below, above in itertools.combinations(range(len(sizes)), 2):
            assert not np.allclose(places[below], places[above])
            assert sizes[above] <= sizes[below]


def test_a_circle_has_the_colour_of_its_prompts_majority_stable_or_not(study) -> None:
    axes = stability_vs_compliance(study.tables, study.series_set).axes[0]
    drawn = circles(axes)
    prompts = study.series_set.series[0].of(study.tables["per_prompt_metrics"])
    area = areas_seen(drawn).sum() / len(prompts)
    for decision, colour in DECISION_COLOURS.items():
        mine = [to_hex(c).upper() == colour for c in drawn.get_facecolors()]
        assert round(areas_seen(drawn)[mine].sum() / area) == (prompts["majority"] == decision.value).sum()


def test_benign_prompts_are_left_out() -> None:
    study = synthetic_study(n_prompts=60, harms=("harmful", "benign", ""))
    figure = stability_vs_compliance(study.tables, study.series_set)
    for axes in figure.axes:
        counts = [int(text.get_text().split("\n")[1].split(" ")[0]) for text in axes.texts]
        assert sum(counts) == 40
