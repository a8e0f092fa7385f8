"""The report's advice on repeats, and a forecast that rounds to all prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from refusal_stability.params.load import load_params
from refusal_stability.report.repeated_judging import repeats_advice
from refusal_stability.report.zero_events import forecast_share

RULES: dict[str, Any] = {"kind": "rules"}
MODEL: dict[str, Any] = {"kind": "model", "model": {"path": "models/judge"}}
DOUBTFUL: dict[str, Any] = {"kind": "rules", "settings": {"escalate_below": 0.7, "escalate_to": "llm"}}


@pytest.mark.parametrize(
    ("primary", "advised"), [("rules", False), ("llm", True), ("doubtful", True), ("majority", False)]
)
def test_repeats_are_advised_only_where_a_judge_may_answer_differently(
    tmp_path: Path, primary: str, advised: bool
) -> None:
    judges = {"rules": RULES, "llm": MODEL, "doubtful": DOUBTFUL}
    judging = {"primary": primary, "judges": judges}
    study = {"study": "s", "models": {"m": {"path": "models/m"}}, "judging": judging}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(study))
    advice = repeats_advice(load_params(tmp_path / "params.yaml"))
    assert ("repeats to 2" in " ".join(advice)) == advised


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (100.0, 100.0, 100.0, "at least 99.9%"),
        (99.99, 99.96, 100.0, "at least 99.9%"),
        (99.99, 98.0, 100.0, "100.0% [98.0, 100.0]"),
        (40.0, 30.0, 50.0, "40.0% [30.0, 50.0]"),
        (40.0, float("nan"), float("nan"), "40.0%"),
    ],
)
def test_a_forecast_of_all_prompts_is_said_as_a_bound(value: float, low: float, high: float, shown: str) -> None:
    row = {"pct_comply_forecast": value, "pct_comply_forecast_low": low, "pct_comply_forecast_high": high}
    assert forecast_share(row) == shown
