"""The files of all figures: the same however many processes draw them, and an error of any of them is told."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

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
def test_the_files_are_the_same_however_many_processes_draw_them(study) -> None:
    alone = study_pages(study.tables, study.series_set, processes=1)
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


def test_seaborn_is_imported_for_the_figures_that_say_so_alone(study, tmp_path: Path) -> None:
    script = (
        "import sys, pickle, pathlib\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from refusal_stability.figures.gallery import GALLERY\n"
        "tables, series_set = pickle.loads(pathlib.Path(sys.argv[2]).read_bytes())\n"
        "for figure in GALLERY:\n"
        "    if not figure.by_seaborn:\n"
        "        figure.draw(tables, series_set)\n"
        "assert not {'seaborn', 'scipy'} & set(sys.modules)\n"
        "for figure in GALLERY:\n"
        "    if figure.by_seaborn:\n"
        "        sys.modules.pop('seaborn', None)\n"
        "        figure.draw(tables, series_set)\n"
        "        assert 'seaborn' in sys.modules, figure.name\n"
    )
    kept = tmp_path / "study"
    kept.write_bytes(pickle.dumps((study.tables, study.series_set)))
    done = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(kept)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
