"""The further figures draw what the tables say, and say what they leave out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability.figures.alt_text import categories_in_words, judges_in_words, wavering_in_words
from refusal_stability.figures.depth import category_stability, decision_heatmap, judge_confusion
from refusal_stability.figures.palette import DECISION_COLOURS
from refusal_stability.records import Decision


@pytest.fixture(scope="module")
def study() -> SyntheticStudy:
    return synthetic_study(missing_share=0.05)


def test_each_cell_has_the_colour_and_letter_of_its_decision_where_temperature_and_seed_put_it(study) -> None:
    figure = decision_heatmap(study.tables, study.cast)
    codes = {DECISION_COLOURS[d].lower(): d.value for d in Decision} | {"#ffffff": ""}
    for axes, one in zip(figure.axes, study.cast.series, strict=True):
        rows = one.of(study.tables["least_stable_decisions"])
        # prompt x temperature x seed, in the order of the table
        expected = rows["decision"].to_numpy().reshape(-1, 20)
        cells = sorted(
            (round(bar.get_y() + 0.43), bar.get_x(), codes[to_hex(bar.get_facecolor())]) for bar in axes.patches
        )
        found = np.array([decision for _, _, decision in cells], dtype=object).reshape(-1, 20)
        assert (found == expected).all()
        starts = np.array([x for _, x, _ in cells]).reshape(-1, 20)[0]
        # four gaps of one cell between five seeds of a temperature, and a wider one to the next temperature
        assert np.diff(starts) == pytest.approx(([1.0] * 4 + [1.7]) * 3 + [1.0] * 4)
        letters = sorted((text.get_position()[1], text.get_position()[0], text.get_text()) for text in axes.texts)
        assert [letter for _, _, letter in letters] == [d[0] for d in expected.ravel() if d]


def test_a_cell_too_narrow_for_a_letter_has_none_and_every_cell_is_still_there() -> None:
    study = synthetic_study({"a": None, "b": None, "c": None}, n_seeds=12)
    axes = decision_heatmap(study.tables, study.cast).axes[0]
    assert len(axes.patches) == 10 * 4 * 12
    assert not axes.texts


def test_the_least_stable_prompts_are_named_with_what_they_got(study) -> None:
    words = wavering_in_words(study.tables, study.cast)
    prompts = study.cast.series[0].of(study.tables["per_prompt_metrics"])
    worst = prompts.sort_values(["ssi", "n", "prompt_id"], ascending=[True, False, True]).iloc[0]
    assert f"the least stable {worst['prompt_id']} (SSI {worst['ssi']:.2f}: {worst['n_refuse']} REFUSE" in words


def test_of_more_categories_than_have_room_the_largest_are_drawn_and_the_rest_counted(study) -> None:
    (template,) = study.cast.series[0].of(study.tables["categories"]).head(1).to_dict("records")
    many = pd.DataFrame([{**template, "category": f"c{i:02d}", "n_prompts": 10 + i} for i in range(40)])
    tables = {**study.tables, "categories": many}
    figure = category_stability(tables, study.cast)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [f"c{i:02d}" for i in range(16, 40)]
    assert "24 of 40 categories, those with most prompts" in figure.get_supxlabel()
    assert "24 of 40 categories" in categories_in_words(tables, study.cast)
    assert "categories" not in category_stability(study.tables, study.cast).get_supxlabel()


def test_of_more_pairs_of_judges_than_have_room_the_rest_are_counted(study) -> None:
    pairs = [(f"j{i}", f"j{k}") for i in range(5) for k in range(i + 1, 5)]
    tables = dict(study.tables)
    for name in ("judge_confusion", "judge_agreement"):
        tables[name] = pd.concat([study.tables[name].assign(judge_a=a, judge_b=b) for a, b in pairs])
    figure = judge_confusion(tables, study.cast)
    assert len(figure.axes) == 6
    assert "6 of 10 pairs of judges" in figure.get_supxlabel()
    assert "6 of 10 pairs of judges" in judges_in_words(tables, study.cast)
    assert "pairs" not in judge_confusion(study.tables, study.cast).get_supxlabel()
