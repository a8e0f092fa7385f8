"""Stability against compliance: areas are numbers of prompts, groups are named for what they are, none is hidden."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability.figures.palette import DECISION_COLOURS
from refusal_stability.figures.stability_vs_compliance import stability_vs_compliance
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


def test_a_circle_s_area_is_its_number_of_prompts_on_one_scale_for_all_panels(study) -> None:
    figure = stability_vs_compliance(study.tables, study.series_set)
    areas = [circles(axes).get_sizes() for axes in figure.axes]
    one_prompt = sum(map(np.sum, areas)) / (200 * len(areas))
    for panel in areas:
        assert np.allclose(panel / one_prompt, np.round(panel / one_prompt))
        assert round(panel.sum() / one_prompt) == 200


def test_no_circle_is_hidden_by_another(study) -> None:
    for axes in stability_vs_compliance(study.tables, study.series_set).axes:
        drawn = circles(axes)
        places, sizes = drawn.get_offsets(), drawn.get_sizes()
        for below, above in itertools.combinations(range(len(sizes)), 2):
            assert not np.allclose(places[below], places[above])
            assert sizes[above] <= sizes[below]


def test_a_circle_has_the_colour_of_its_prompts_majority_stable_or_not(study) -> None:
    axes = stability_vs_compliance(study.tables, study.series_set).axes[0]
    drawn = circles(axes)
    prompts = study.series_set.series[0].of(study.tables["per_prompt_metrics"])
    area = circles(axes).get_sizes().sum() / len(prompts)
    for decision, colour in DECISION_COLOURS.items():
        mine = [to_hex(c).upper() == colour for c in drawn.get_facecolors()]
        assert round(drawn.get_sizes()[mine].sum() / area) == (prompts["majority"] == decision.value).sum()


def test_benign_prompts_are_left_out() -> None:
    study = synthetic_study(n_prompts=60, harms=("harmful", "benign", ""))
    figure = stability_vs_compliance(study.tables, study.series_set)
    for axes in figure.axes:
        counts = [int(text.get_text().split("\n")[1].split(" ")[0]) for text in axes.texts]
        assert sum(counts) == 40
