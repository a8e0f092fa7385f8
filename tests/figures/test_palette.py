"""Colours stay apart in grey and are dark enough to read."""

from __future__ import annotations

import itertools

import pytest

from refusal_stability.figures.cast import cast_of, wrapped
from refusal_stability.figures.palette import CLUSTERS, DECISION_COLOURS, DECISION_INK, INK, MODEL_COLOURS, MUTED
from refusal_stability.params import InterventionParams, ModelParams, StudyParams


def luminance(colour: str) -> float:
    """WCAG relative luminance of an sRGB colour."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG contrast ratio, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


def test_decisions_differ_in_lightness_by_at_least_20_steps_of_100() -> None:
    lightness = [116 * luminance(c) ** (1 / 3) - 16 for c in DECISION_COLOURS.values()]
    assert min(abs(a - b) for a, b in itertools.combinations(lightness, 2)) >= 20


@pytest.mark.parametrize("colour", [INK, MUTED, *(c.ink for c in CLUSTERS)])
def test_text_reads_on_white(colour: str) -> None:
    assert contrast(colour, "#FFFFFF") >= 4.5


@pytest.mark.parametrize("decision", DECISION_COLOURS, ids=str)
def test_a_number_in_a_bar_reads_on_it(decision) -> None:
    assert contrast(DECISION_INK[decision], DECISION_COLOURS[decision]) >= 4.5


@pytest.mark.parametrize("colour", MODEL_COLOURS)
def test_a_model_s_lines_stand_out_from_white(colour: str) -> None:
    assert contrast(colour, "#FFFFFF") >= 3


def test_a_model_keeps_its_colour_and_marker_under_every_intervention() -> None:
    params = StudyParams(
        study="x",
        models={"a": ModelParams(path="x"), "b": ModelParams(path="y", label="B")},
        interventions={"none": InterventionParams(), "careful": InterventionParams(system="Be careful.")},
    )
    cast = cast_of(params)
    assert [s.label for s in cast.series] == ["a", "a + careful", "B", "B + careful"]
    assert len({(s.model, s.colour, s.marker) for s in cast.series}) == 2
    assert len({s.colour for s in cast.series}) == 2


def test_a_long_label_is_broken_and_then_cut() -> None:
    assert wrapped("one two three four five six", 9, 2) == "one two\nthree…"
    assert wrapped("x" * 50, 10, 2) == "x" * 10 + "\n" + "x" * 9 + "…"


def test_a_label_with_direction_or_control_characters_is_shown_without_them() -> None:
    params = StudyParams(
        study="x",
        models={"a": ModelParams(path="x", label="a\u202eb\x07c\nd")},
        interventions={"none": InterventionParams()},
    )
    assert cast_of(params).series[0].label == "abc d"
