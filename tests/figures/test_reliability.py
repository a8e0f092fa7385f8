from __future__ import annotations

import pandas as pd

from refusal_stability.figures.reliability import reliability_diagram, reliability_finding, reliability_in_words

ROWS = pd.DataFrame(
    {
        "rater_a": "rules",
        "rater_b": ["people", "people", "haiku"],
        "n_compared": [10, 1000, 5],
        "mean_confidence": [0.4, 0.98, 0.5],
        "agreement": [0.3, 0.99, 1.0],
    }
)


def test_each_judge_and_reference_has_a_line_and_the_words_give_its_points():
    (axes,) = reliability_diagram(ROWS).axes
    assert axes.get_legend_handles_labels()[1] == ["rules against people", "rules against haiku"]
    small, large = axes.collections[0].get_sizes()
    assert large == 100 * small
    people, haiku = axes.collections
    assert haiku.get_zorder() > people.get_zorder()
    assert axes.collections[0].get_offsets().tolist() == [[0.4, 0.3], [0.98, 0.99]]
    assert reliability_in_words(ROWS) == (
        "rules against people: 40% sure, 30% agree (10); 98% sure, 99% agree (1,000). "
        "rules against haiku: 50% sure, 100% agree (5)."
    )


def test_the_caption_is_about_the_largest_group():
    assert reliability_finding(ROWS) == (
        "Of the largest group, 1,000 decisions of which rules was 98% sure, 99% agree with people."
    )


def test_nothing_to_compare_is_said():
    (text,) = reliability_diagram(ROWS[:0]).texts
    assert "No judge" in text.get_text()
