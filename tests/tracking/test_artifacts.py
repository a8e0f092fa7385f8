"""The folders of artifacts: the same by a process or a thread, in any order of surprises, and none left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from refusal_stability.records import StudyError
from refusal_stability.tracking.artifacts import (
    AHEAD,
    RESPONSES,
    ROWS_AHEAD,
    artifact_folders,
    folders_ahead,
    table_json,
)
from refusal_stability.tracking.run_plan import RunPlan

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
WAYS = pytest.mark.parametrize("processes", [0, pytest.param(2, marks=LINUX)], ids=["thread", "processes"])


def plan(number: int, log: Path) -> RunPlan:
    def write(folder: Path) -> None:
        (folder / "number.txt").write_text(str(number))
        with log.open("a") as file:
            file.write(f"{number} {os.getpid()}\n")

    return RunPlan(
        **{"name": f"run {number}", "cell": str(number), "parent": None, "note": "", "write": write},
        **{name: {} for name in ("params", "metrics", "tags", "data_files", "inputs", "machine_metrics")},
        machine_tags={},
        responses=lambda: pd.DataFrame({"prompt": [f"text {number}"]}),
    )


def made(log: Path) -> dict[int, int]:
    """The process that made each folder."""
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len({number for number, _ in lines}) == len(lines)
    return {int(number): int(process) for number, process in lines}


@WAYS
def test_each_folder_is_there_until_the_next_one_is_asked_for(tmp_path: Path, processes: int) -> None:
    log = tmp_path / "log"
    plans = [plan(number, log) for number in range(12)]
    last = None
    with artifact_folders(plans, range(12), processes) as take:
        for number in range(12):
            folder = take(number)
            assert (folder / "number.txt").read_text() == str(number)
            assert f"text {number}" in (folder / RESPONSES).read_text()
            assert last is None or not last.exists()
            last = folder
    assert not last.exists()
    makers = made(log)
    assert set(makers) == set(range(12))
    assert (os.getpid() in makers.values()) == (processes == 0)


@WAYS
@pytest.mark.parametrize(
    ("expected", "asked"),
    [([], [1, 4]), ([0, 1, 2, 3, 4, 5, 6, 7, 8], [7]), ([2, 5], [0, 2, 3, 9]), ([3, 4], []), ([1], [0, 1, 2])],
)
def test_what_is_asked_for_is_made_whatever_was_expected(
    tmp_path: Path, processes: int, expected: list[int], asked: list[int]
) -> None:
    log = tmp_path / "log"
    log.touch()
    plans = [plan(number, log) for number in range(10)]
    with artifact_folders(plans, expected, processes) as take:
        for number in asked:
            assert (take(number) / "number.txt").read_text() == str(number)
    assert set(asked) <= set(made(log)) <= {*asked, *expected}


@WAYS
def test_the_error_of_a_plan_is_raised_where_its_folder_is_asked_for(tmp_path: Path, processes: int) -> None:
    plans = [plan(0, tmp_path / "log"), plan(1, tmp_path / "no such folder" / "log")]
    with artifact_folders(plans, range(2), processes) as take:
        take(0)
        with pytest.raises(FileNotFoundError):
            take(1)


@LINUX
def test_a_process_that_is_killed_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    here = os.getpid()
    one = plan(0, tmp_path / "log")

    def end() -> pd.DataFrame:
        assert os.getpid() != here
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    killed = RunPlan(**{**vars(one), "responses": end})
    plans = [one, killed, *(plan(number, tmp_path / "log") for number in range(2, 12))]
    with (
        pytest.raises(StudyError, match="was killed; it probably ran out of memory; free memory, then"),
        artifact_folders(plans, range(12), 1, ahead=3) as take,
    ):
        for number in range(12):
            take(number)


@WAYS
def test_artifacts_without_memory_are_an_error_with_a_remedy(tmp_path: Path, processes: int) -> None:
    def too_large() -> pd.DataFrame:
        raise MemoryError

    large = RunPlan(**{**vars(plan(0, tmp_path / "log")), "responses": too_large})
    with (
        artifact_folders([large], [0], processes) as take,
        pytest.raises(StudyError, match="ran out of memory; free memory, then run the stage `track` again"),
    ):
        take(0)


@LINUX
def test_a_process_ends_with_the_one_that_forked_it(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_artifacts import artifact_folders, plan\n"
        "log = pathlib.Path(sys.argv[2])\n"
        "with artifact_folders([plan(0, log)], [0], 1) as take:\n"
        "    take(0)\n"
        "    print('made', flush=True)\n"
        "    time.sleep(600)\n"
    )
    log = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(log)], stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "made\n"
        (maker,) = made(log).values()
        assert maker != started.pid
        started.kill()
    limit = time.monotonic() + 300
    while Path(f"/proc/{maker}").exists() and "\nState:\tZ" not in Path(f"/proc/{maker}/status").read_text():
        assert time.monotonic() < limit
        time.sleep(0.05)


@WAYS
def test_as_many_folders_as_allowed_are_made_before_the_first_is_asked_for(tmp_path: Path, processes: int) -> None:
    log = tmp_path / "log"
    log.touch()
    plans = [plan(number, log) for number in range(10)]
    with artifact_folders(plans, range(10), processes, ahead=7) as take:
        limit = time.monotonic() + 300
        while len(made(log)) < 7:
            assert time.monotonic() < limit
            time.sleep(0.02)
        assert set(made(log)) == set(range(7))
        assert [(take(number) / "number.txt").read_text() for number in range(10)] == [str(n) for n in range(10)]


def test_fewer_folders_are_made_ahead_of_a_large_study() -> None:
    assert [folders_ahead(prompts) for prompts in (0, 1, 1000, ROWS_AHEAD, 10**7)] == [
        ROWS_AHEAD,
        ROWS_AHEAD,
        ROWS_AHEAD // 1000,
        AHEAD,
        AHEAD,
    ]


def test_a_table_is_the_json_that_pandas_writes() -> None:
    table = pd.DataFrame(
        {
            "prompt": ['a "quoted" / one', "two\nlines \u2028 é \U0001f600", "</script>\x00"],
            "ssi": [1 / 3, float("nan"), 1.0],
            "category": pd.Series(["a", None, "b"], dtype="category"),
            "n": [1, 2, 3],
        }
    )
    assert json.loads(table_json(table)) == json.loads(table.to_json(orient="split", index=False))
    assert json.loads(table_json(table))["data"][1][1:3] == [None, None]
    assert table_json(table.iloc[:0]) == '{"columns":["prompt","ssi","category","n"],"data":[]}'
