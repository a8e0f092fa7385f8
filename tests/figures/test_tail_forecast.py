"""The figure of the tail forecast, and its numbers in MLflow."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from refusal_stability.figures.series import Series, SeriesSet
from refusal_stability.figures.tail_forecast import FIGURE
from refusal_stability.tracking.forecasts import forecast_metrics

SET = SeriesSet(tuple(Series(name, "none", name.upper(), "#000000", "o", "-") for name in ("a", "b")))
ATTEMPTS = (10, 100, 1_000, 10_000)


def table_of(*models: tuple[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "model": model,
                "intervention": "none",
                "n_attempts": n,
                "n_prompts": 50,
                "n_ever_comply": 0 if np.isnan(value) else 7,
                "pct_comply_forecast": value,
                "pct_comply_forecast_low": value - 2,
                "pct_comply_forecast_high": value + 5,
                "pct_comply_plug_in": 9.0,
                "far": n > 100,
            }
            for model, values in models
            for n, value in zip(ATTEMPTS, values, strict=True)
        ]
    )


def test_the_forecast_stands_against_the_attempts_with_its_band_and_the_observed_rates() -> None:
    table = table_of(("a", [5, 10, 20, 40]), ("b", [1, 2, 3, 4]))
    axes = FIGURE.draw({"tail_forecast": table}, SET).axes[0]
    drawn = [line for line in axes.lines if len(line.get_xdata()) == len(ATTEMPTS)]
    assert [5, 10, 20, 40] in [list(line.get_ydata()) for line in drawn]
    assert [9.0] * 4 in [list(line.get_ydata()) for line in drawn]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10", "100", "1,000", "10,000"]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (3, 45)
    assert axes.get_ylim()[1] >= 45
    opened = [line for line in axes.lines if line.get_color() == "white"]
    assert list(opened[0].get_ydata()) == [20, 40]  # far beyond the attempts made


def test_it_is_said_in_words_and_a_model_that_never_complied_is_left_out() -> None:
    tables = {"tail_forecast": table_of(("a", [5, 10, 20, 40]), ("b", [np.nan] * 4))}
    assert FIGURE.draw(tables, SET).axes
    said = FIGURE.alt_text(tables, SET)
    assert "A: 5.0% [3.0, 10.0] in 10 attempts, 40.0% [38.0, 45.0] in 10,000 attempts (observed rates: 9.0%)" in said
    assert "B: no prompt complied" in said
    never = {"tail_forecast": table_of(("b", [np.nan] * 4))}
    assert FIGURE.finding(never, SET) == "None of 50 prompts complied, so there is nothing to forecast from."
    assert "goes from 5.0% [3.0, 10.0] in 10 attempts to 40.0% [38.0, 45.0] in 10,000 attempts" in FIGURE.finding(
        tables, SET
    )


def test_a_forecast_that_rounds_to_all_prompts_is_said_as_in_the_tables() -> None:
    tables = {"tail_forecast": table_of(("a", [101.99, 102.0, 102.0, 102.0]))}
    assert FIGURE.finding(tables, SET) == (
        "The forecast share of prompts with any COMPLY is the same in 10 attempts and in 10,000 attempts: "
        "it is at least 99.9%."
    )
    assert "A: at least 99.9% in 10 attempts, at least 99.9% in 10,000 attempts" in FIGURE.alt_text(tables, SET)


def test_mlflow_gets_the_forecast_of_each_number_of_attempts() -> None:
    metrics = forecast_metrics({"tail_forecast": table_of(("a", [5, 10, 20.00004, 40]))})
    assert len(metrics) == 12
    assert metrics["tail/comply_in_10000"] == 40
    assert metrics["tail/comply_in_1000_high"] == pytest.approx(25, abs=1e-4)
    assert forecast_metrics({"tail_forecast": table_of(("a", [np.nan] * 4))}) == {}
    assert forecast_metrics({}) == {}
