"""The coverage study's page."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_stability.commands import coverage_study
from refusal_stability.measures import coverage
from refusal_stability.measures.coverage import FIGURES
from refusal_stability.records import StudyError


@pytest.fixture
def small_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "TRUTH_PROMPTS", 5_000)


def test_the_page_has_every_figure_and_does_not_depend_on_the_number_of_processes(
    tmp_path: Path, small_truth: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [tmp_path / "one.md", tmp_path / "two.md"]
    for page, chunk, cores in zip(pages, (2, 50), (2, 1), strict=True):
        monkeypatch.setattr(coverage_study, "CHUNK", chunk)
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        coverage_study.run(3, [40, 60], seed=0, n_resamples=100, page=page)
    text = pages[0].read_text()
    assert text == pages[1].read_text()
    rows = [line for line in text.splitlines() if line.endswith("% |")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == 2 * list(FIGURES)


@pytest.mark.parametrize(("studies", "sizes", "option"), [(0, [84], "--studies"), (5, [84, 1], "--prompts")])
def test_a_study_of_nothing_is_refused(studies: int, sizes: list[int], option: str) -> None:
    with pytest.raises(StudyError, match=f"{option}: . is not allowed; a whole number of at least"):
        coverage_study.run(studies, sizes, seed=0, n_resamples=100)
