"""Judges against each other: each cell has its count and its share of the row, and the figure says what is pooled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from synthetic_study import SyntheticStudy, synthetic_study
from test_palette import contrast

from refusal_stability.figures.judge_confusion import alt_text, judge_confusion
from refusal_stability.records import DECISIONS


@pytest.fixture(scope="module")
def study() -> SyntheticStudy:
    return synthetic_study(missing_share=0.05)


def test_each_cell_has_its_count_and_its_share_of_the_row(study) -> None:
    (axes,) = judge_confusion(study.tables, study.series_set).axes
    table = study.tables["judge_confusion"]
    pooled = table[(table["model"] == "*") & (table["judge_a"] != "*")].set_index(["label_a", "label_b"])["n_label"]
    texts = [text.get_text().split("\n") for text in axes.texts]
    assert [int(count.replace(",", "")) for count, _ in texts] == [
        pooled[str(a), str(b)] for a in DECISIONS for b in DECISIONS
    ]
    row = pooled["REFUSE"]
    assert texts[0][1] == f"{row['REFUSE'] / row.sum():.0%}"


def test_every_count_reads_on_its_cell() -> None:
    shares = np.linspace(0, 1, 41)
    rows = [
        {
            "model": "*",
            "intervention": "*",
            "judge_a": "a",
            "judge_b": f"b{i}",
            "label_a": "REFUSE",
            "label_b": label,
            "n_label": int(1000 * n),
        }
        for i in range(0, 6)
        for label, n in (("REFUSE", shares[8 * i if i < 5 else 28]), ("COMPLY", 1 - shares[8 * i if i < 5 else 28]))
    ]
    study = synthetic_study(n_prompts=5)
    for axes in judge_confusion({**study.tables, "judge_confusion": pd.DataFrame(rows)}, study.series_set).axes:
        axes.figure.canvas.draw()
        faces = [to_hex(colour) for colour in axes.collections[0].get_facecolors()]
        for text, face in zip(axes.texts, faces, strict=True):
            assert contrast(to_hex(text.get_color()), face) >= 3.5, text.get_text()


def test_the_figure_says_of_what_the_shares_are_and_which_models_a_panel_pools(study) -> None:
    figure = judge_confusion(study.tables, study.series_set)
    assert "% of the row" in figure.get_supxlabel()
    assert figure.axes[0].get_title("left") == "2 models: steady, Wavering 2.0"
    table = study.tables["judge_confusion"].copy()
    table.loc[table["model"] == "steady", "n_label"] = 0
    one = judge_confusion({**study.tables, "judge_confusion": table}, study.series_set)
    assert one.axes[0].get_title("left") == "1 model: Wavering 2.0"


def test_of_more_pairs_of_judges_than_have_room_the_rest_are_counted(study) -> None:
    pairs = [(f"j{i}", f"j{k}") for i in range(5) for k in range(i + 1, 5)]
    tables = dict(study.tables)
    for name in ("judge_confusion", "judge_agreement"):
        tables[name] = pd.concat([study.tables[name].assign(judge_a=a, judge_b=b) for a, b in pairs])
    figure = judge_confusion(tables, study.series_set)
    assert len(figure.axes) == 6
    assert "6 of 10 pairs of judges" in figure.get_supxlabel()
    assert "6 of 10 pairs of judges" in alt_text(tables, study.series_set)
    assert "pairs" not in judge_confusion(study.tables, study.series_set).get_supxlabel()
