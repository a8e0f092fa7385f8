"""Categories: the largest are drawn, and the figure says what it leaves out."""

from __future__ import annotations

import pandas as pd
from synthetic_study import synthetic_study

from refusal_stability.figures.category_stability import alt_text, category_stability


def test_of_more_categories_than_have_room_the_largest_are_drawn_and_the_rest_counted() -> None:
    study = synthetic_study(missing_share=0.05)
    (template,) = study.series_set.series[0].of(study.tables["categories"]).head(1).to_dict("records")
    many = pd.DataFrame([{**template, "category": f"c{i:02d}", "n_prompts": 10 + i} for i in range(40)])
    tables = {**study.tables, "categories": many}
    figure = category_stability(tables, study.series_set)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [f"c{i:02d}" for i in range(16, 40)]
    assert "24 of 40 categories, those with most prompts" in figure.get_supxlabel()
    assert "24 of 40 categories" in alt_text(tables, study.series_set)
    assert "categories" not in category_stability(study.tables, study.series_set).get_supxlabel()
