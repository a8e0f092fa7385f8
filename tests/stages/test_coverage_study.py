"""The coverage study's page."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_stability.measures.coverage import FIGURES
from refusal_stability.stages import coverage_study


@pytest.fixture
def small_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage_study, "TRUTH_PROMPTS", 5_000)


def test_the_page_has_every_figure_and_is_the_same_twice(tmp_path: Path, small_truth: None) -> None:
    pages = [tmp_path / "one.md", tmp_path / "two.md"]
    for page in pages:
        coverage_study.run(3, [40, 60], seed=0, n_resamples=100, page=page)
    text = pages[0].read_text()
    assert text == pages[1].read_text()
    rows = [line for line in text.splitlines() if line.endswith("% |")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(FIGURES)
