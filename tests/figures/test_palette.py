"""Colours stay apart in grey and to the colour-blind, and are dark enough to read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from refusal_stability.figures.palette import (
    DECISION_COLOURS,
    DECISION_INK,
    DECISION_TEXT,
    INK,
    MODEL_COLOURS,
    MUTED,
    UNSTABLE_TEXT,
    intervention_line,
    model_look,
)
from refusal_stability.figures.series import series_of, wrapped
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.study import InterventionParams, StudyParams

# Linear sRGB as dichromats see it: Machado, Oliveira & Fernandes (2009), A Physiologically-based Model for Simulation
# of Color Vision Deficiency, IEEE TVCG 15(6), doi:10.1109/TVCG.2009.113, the matrices of severity 1.0.
SIGHT = {
    "all others": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# IEC 61966-2-1: linear sRGB to CIE XYZ; its white is (1, 1, 1) mapped.
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    """An sRGB colour's light, red green blue, shape (3,)."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(colour: str, sight: str = "all others") -> np.ndarray:
    """CIE L*a*b* of a colour as this sight has it, shape (3,)."""
    light = TO_XYZ @ np.clip(SIGHT[sight] @ linear(colour), 0, 1) / (TO_XYZ @ np.ones(3))
    x, y, z = np.where(light > (6 / 29) ** 3, np.cbrt(light), light / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, sight: str) -> float:
    """CIE76 distance of two colours; about 2 is the least that can be told apart side by side."""
    return float(np.linalg.norm(lab(one, sight) - lab(other, sight)))


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


@pytest.mark.parametrize("colour", [INK, MUTED, UNSTABLE_TEXT, *DECISION_TEXT.values()])
def test_text_reads_on_white(colour: str) -> None:
    assert contrast(colour, "#FFFFFF") >= 4.5


@pytest.mark.parametrize("decision", DECISION_COLOURS, ids=str)
def test_a_number_in_a_bar_reads_on_it(decision) -> None:
    assert contrast(DECISION_INK[decision], DECISION_COLOURS[decision]) >= 4.5


@pytest.mark.parametrize("colour", MODEL_COLOURS)
def test_a_model_s_name_reads_on_white(colour: str) -> None:
    assert contrast(colour, "#FFFFFF") >= 4.5


def test_red_is_where_the_cie_puts_it_and_a_dichromat_s_grey_stays_grey() -> None:
    assert lab("#FF0000") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    for sight in SIGHT:
        assert lab("#808080", sight)[1:] == pytest.approx([0, 0], abs=0.05)


def test_red_and_green_of_one_brightness_are_one_colour_to_a_deuteranope_only() -> None:
    assert apart("#B05A00", "#7A7A00", "deuteranopia") < 10 < 40 < apart("#B05A00", "#7A7A00", "all others")


@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_models_colours_stay_apart(sight: str) -> None:
    pairs = {pair: apart(*pair, sight) for pair in itertools.combinations(MODEL_COLOURS, 2)}
    closest = min(pairs, key=lambda pair: pairs[pair])
    assert pairs[closest] >= 20, closest


@pytest.mark.parametrize("sight", SIGHT)
def test_decisions_stay_apart(sight: str) -> None:
    assert min(apart(*pair, sight) for pair in itertools.combinations(DECISION_COLOURS.values(), 2)) >= 20


def test_a_ninth_model_has_the_first_one_s_colour_and_a_marker_of_its_own() -> None:
    looks = [model_look(position) for position in range(64)]
    assert looks[8][0] == looks[0][0]
    assert len(set(looks)) == 64


def test_no_two_interventions_share_a_line() -> None:
    assert len({intervention_line(position) for position in range(12)}) == 12


def test_a_model_keeps_its_colour_and_marker_under_every_intervention() -> None:
    params = StudyParams(
        study="x",
        models={"a": ModelParams(path="x"), "b": ModelParams(path="y", label="B")},
        interventions={"none": InterventionParams(), "careful": InterventionParams(system="Be careful.")},
    )
    series_set = series_of(params)
    assert [s.label for s in series_set.series] == ["a", "a + careful", "B", "B + careful"]
    assert len({(s.model, s.colour, s.marker) for s in series_set.series}) == 2
    assert len({s.colour for s in series_set.series}) == 2


def test_a_long_label_is_broken_and_then_cut() -> None:
    assert wrapped("one two three four five six", 9, 2) == "one two\nthree…"
    assert wrapped("mistral-7b (llama-judge)", 22) == "mistral-7b\n(llama-judge)"
    assert wrapped("meta-llama/Llama-3.1-70B", 22) == "meta-\nllama/Llama-3.1-70B"
    assert wrapped("x" * 50, 10, 2) == "x" * 10 + "\n" + "x" * 9 + "…"


def test_a_label_with_direction_or_control_characters_is_shown_without_them() -> None:
    params = StudyParams(
        study="x",
        models={"a": ModelParams(path="x", label="a\u202eb\x07c\nd")},
        interventions={"none": InterventionParams()},
    )
    assert series_of(params).series[0].label == "abc d"
