"""What the stability figures draw is what the tables say."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_study import synthetic_study

from refusal_stability.figures.stability import flip_rate, ssi_distribution, stability_vs_compliance


@pytest.fixture(scope="module")
def study():
    return synthetic_study(n_prompts=60)


def test_the_bars_of_each_model_add_up_to_all_its_prompts(study) -> None:
    figure = ssi_distribution(study.tables, study.cast)
    for axes in figure.axes:
        assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(1.0)


def test_exactly_the_unstable_prompts_are_hatched(study) -> None:
    figure = ssi_distribution(study.tables, study.cast)
    for axes, one in zip(figure.axes, study.cast.series, strict=True):
        hatched = sum(bar.get_height() for bar in axes.patches if bar.get_hatch())
        assert hatched == pytest.approx(one.of(study.tables["per_prompt_metrics"])["unstable"].mean())


def test_flip_rates_and_their_intervals_are_drawn_where_the_table_puts_them(study) -> None:
    left = flip_rate(study.tables, study.cast).axes[0]
    table = study.tables["aggregate_by_model"]
    dots = [line.get_xdata()[0] for line in left.get_lines() if line.get_marker() not in ("None", None)]
    assert dots == pytest.approx(table["pct_flipped"].tolist())
    spans = [segment[:, 0] for lines in left.collections for segment in lines.get_segments()]
    assert np.allclose(spans, table[["pct_flipped_low", "pct_flipped_high"]])


def test_each_cluster_is_named_with_its_count_and_share(study) -> None:
    figure = stability_vs_compliance(study.tables, study.cast)
    row = study.cast.series[0].of(study.tables["aggregate_by_model"]).iloc[0]
    texts = [text.get_text() for text in figure.axes[0].texts]
    for words, count in (
        ("stable refusal", row["n_steady_refusal"]),
        ("stable compliance", row["n_steady_help"]),
        ("unstable", row["n_wavering"]),
    ):
        assert f"{words}\n{count} ({count / 60:.0%})" in texts


def test_every_prompt_is_in_a_circle_and_a_circle_s_area_grows_with_its_prompts(study) -> None:
    axes = stability_vs_compliance(study.tables, study.cast).axes[0]
    areas = axes.collections[-1].get_sizes()
    counts = (areas - 14) / 200
    scale = 60 / counts.sum()
    assert np.allclose(counts * scale, np.round(counts * scale))
    assert (counts * scale >= 0.99).all()
