"""The files of all figures: the same however many processes draw them, and an error of any of them is told."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from synthetic_study import SyntheticStudy, synthetic_study

from refusal_stability.figures.gallery import GALLERY
from refusal_stability.figures.pages import shared_out, study_pages
from refusal_stability.records import StudyError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="one process draws all where forks are not safe")


@pytest.fixture(scope="module")
def study() -> SyntheticStudy:
    return synthetic_study()


@LINUX
def test_the_files_are_the_same_however_many_processes_draw_them(study, drawn_alone) -> None:
    alone = drawn_alone
    shared = study_pages(study.tables, study.series_set, processes=3)
    assert list(alone) == list(shared)
    assert alone == shared
    assert list(alone)[:2] == ["model_comparison.png", "model_comparison.pdf"]
    belonging = [figure for figure in GALLERY if figure.belongs_to(study.tables)]
    assert len(alone) == 2 * len(belonging) < 2 * len(GALLERY)


@LINUX
@pytest.mark.parametrize("processes", [1, 3, 20])
def test_every_share_is_drawn_once(processes: int) -> None:
    drawn = shared_out(lambda share: {f"{share} {os.getpid()}": b"%d" % share}, 9, processes)
    assert [int(name.split()[0]) for name in drawn] == list(range(9))
    assert [int(page) for page in drawn.values()] == list(range(9))
    assert (str(os.getpid()) in {name.split()[1] for name in drawn}) == (processes == 1)


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=LINUX)])
def test_an_error_is_raised_here_whichever_process_drew(processes: int) -> None:
    def draw(share: int) -> dict[str, bytes]:
        raise StudyError(f"reports/figures: share {share} cannot be drawn; try another")

    with pytest.raises(StudyError, match=r"share \d cannot be drawn; try another"):
        shared_out(draw, 2, processes)


@LINUX
def test_a_process_that_is_killed_is_an_error_with_a_remedy() -> None:
    def draw(share: int) -> dict[str, bytes]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    with pytest.raises(StudyError, match="was killed; it probably ran out of memory; free memory"):
        shared_out(draw, 2, 2)


@LINUX
def test_a_process_without_memory_is_an_error_with_a_remedy() -> None:
    def draw(share: int) -> dict[str, bytes]:
        raise MemoryError

    with pytest.raises(StudyError, match="drew figures ran out of memory; free memory, then run the stage"):
        shared_out(draw, 2, 2)
