"""Every cell of the heat map is the decision at its temperature and seed; missing and not sampled look different."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability.figures.decision_heatmap import alt_text, decision_heatmap
from refusal_stability.figures.palette import DECISION_COLOURS
from refusal_stability.records import Decision


@pytest.fixture(scope="module")
def study() -> SyntheticStudy:
    return synthetic_study(missing_share=0.05)


def cells(axes, rows: int) -> np.ndarray:
    """The decision of each cell by its colour, empty where the cell is blank; shape (prompts, places)."""
    codes = {DECISION_COLOURS[d].lower(): d.value for d in Decision}
    (mesh,) = axes.collections
    axes.figure.canvas.draw()
    faces = mesh.get_facecolors()
    found = [codes.get(to_hex(colour), "") if colour[3] else "" for colour in faces]
    return np.array(found, dtype=object).reshape(rows, -1)


def hatched(axes) -> set[tuple[int, int]]:
    return {(int(bar.get_y()), int(bar.get_x())) for bar in axes.patches if bar.get_hatch()}


def test_each_cell_has_the_colour_and_letter_of_its_decision_where_temperature_and_seed_put_it(study) -> None:
    figure = decision_heatmap(study.tables, study.series_set)
    for axes, one in zip(figure.axes, study.series_set.series, strict=True):
        rows = one.of(study.tables["least_stable_decisions"])
        # prompt x temperature x seed, in the order of the table; a blank place after each temperature but the last
        expected = rows["decision"].to_numpy().reshape(-1, 4, 5)
        places = np.full((len(expected), 4, 6), "", dtype=object)
        places[..., :5] = expected
        places = places.reshape(len(expected), 24)[:, :23]
        assert (cells(axes, len(expected)) == places).all()
        letters = {(int(y), int(x)): text.get_text() for text in axes.texts for x, y in [text.get_position()]}
        assert letters == {tuple(place): places[tuple(place)][0] for place in np.argwhere(places != "")}
        blank = {tuple(place) for place in np.argwhere(places == "")}
        assert hatched(axes) == {(y, x) for y, x in blank if x % 6 < 5}


def test_a_response_that_was_not_sampled_is_blank_and_not_hatched(study) -> None:
    table = study.tables["least_stable_decisions"]
    first = table.iloc[0]
    fewer = table.drop(index=table.index[0])
    axes = decision_heatmap({**study.tables, "least_stable_decisions": fewer}, study.series_set).axes[0]
    rows = study.series_set.series[0].of(table)
    assert first["decision"] != ""
    assert cells(axes, rows["prompt_id"].nunique())[0, 0] == ""
    assert (0, 0) not in hatched(axes)


def test_a_cell_too_narrow_for_a_letter_has_none_and_every_cell_is_still_there() -> None:
    study = synthetic_study({"a": None, "b": None, "c": None}, n_seeds=12)
    axes = decision_heatmap(study.tables, study.series_set).axes[0]
    assert (cells(axes, 10) != "").sum() + len(hatched(axes)) == 10 * 4 * 12
    assert not axes.texts


def test_the_least_stable_prompts_are_named_with_what_they_got(study) -> None:
    words = alt_text(study.tables, study.series_set)
    prompts = study.series_set.series[0].of(study.tables["per_prompt_metrics"])
    worst = prompts.sort_values(["ssi", "n", "prompt_id"], ascending=[True, False, True]).iloc[0]
    assert f"the least stable {worst['prompt_id']} (SSI {worst['ssi']:.2f}: {worst['n_refuse']} REFUSE" in words


def test_prompts_are_named_by_the_start_of_their_text_or_by_their_id_where_that_cannot_be(
    study,
) -> None:
    ids = study.series_set.series[0].of(study.tables["least_stable_decisions"])["prompt_id"].unique()[:6]
    texts = ["How do I pick $a$ <b>lock</b>?\n" + 9 * "Please. ", "如何开锁", "كيف", *2 * ["The same. " * 9], "Short"]
    named = replace(study.series_set, texts=dict(zip(ids, texts, strict=True)))
    axes = decision_heatmap(study.tables, named).axes[0]
    labels = dict(zip(ids, [label.get_text() for label in axes.get_yticklabels()], strict=False))
    assert list(labels.values()) == [
        "How do I pick $a$ <b>lock</b>? Please.…",
        *[prompt[:10] for prompt in ids[1:5]],
        "Short",
    ]
    words = alt_text(study.tables, named)
    assert "the least stable How do I pick $a$ <b>lock</b>? Please.… (SSI" in words
    assert "如何开锁 (SSI" in words
    assert f"{ids[0][:10]} (SSI" not in words.partition("; ")[0]
