"""The histogram of SSI draws what the table of prompts says."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_rgba
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability.figures.palette import RULE
from refusal_stability.figures.ssi_distribution import ssi_distribution


@pytest.fixture(scope="module")
def study() -> SyntheticStudy:
    return synthetic_study(n_prompts=60)


def bars(axes):
    return [bar for container in axes.containers for bar in container if bar in axes.patches]


def test_the_bars_of_each_model_add_up_to_all_its_prompts(study) -> None:
    for axes in ssi_distribution(study.tables, study.series_set).axes:
        assert sum(bar.get_height() for bar in bars(axes)) == pytest.approx(1.0)


def test_exactly_the_unstable_prompts_are_grey_however_low_their_bar(study) -> None:
    figure = ssi_distribution(study.tables, study.series_set)
    for axes, one in zip(figure.axes, study.series_set.series, strict=True):
        grey = sum(bar.get_height() for bar in bars(axes) if bar.get_facecolor() == to_rgba(RULE))
        assert grey == pytest.approx(one.of(study.tables["per_prompt_metrics"])["unstable"].mean())
        assert {bar.get_facecolor() for bar in bars(axes)} <= {to_rgba(RULE), to_rgba(one.colour)}


def test_one_prompt_is_one_prompt() -> None:
    one = synthetic_study(n_prompts=1)
    texts = [text.get_text() for axes in ssi_distribution(one.tables, one.series_set).axes for text in axes.texts]
    assert any(text.endswith("\n1 prompt") for text in texts)


def test_every_bar_however_small_has_its_share_written_above(study) -> None:
    for axes in ssi_distribution(study.tables, study.series_set).axes:
        places = {round(bar.get_x() + bar.get_width() / 2, 2) for bar in bars(axes)}
        written = {round(text.xy[0], 2) for text in axes.texts if hasattr(text, "xy")}
        assert places == written
