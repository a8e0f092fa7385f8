"""What long work says in a log: a line every so often, with everything that a reader needs, and nothing more."""

from __future__ import annotations

import threading
import time

import pytest

from refusal_stability import progress as module
from refusal_stability.progress import Progress, duration, pace, progress, reasons


def lines_of(work: Progress, moments: list[tuple[float, int]]) -> str:
    """The line of work that was so far at these moments."""
    work._seen.clear()
    work._seen.extend(moments)
    work.done = moments[-1][1]
    return work.line()


def test_a_line_says_done_total_rate_time_left_and_what_is_missing_why() -> None:
    work = Progress("small", 1_680, done=84)
    work.advance(2, missing=None)
    for reason in ("HTTP 500", "HTTP 500", "too long"):
        work.advance(missing=reason)
    line = lines_of(work, [(0.0, 84), (100.0, 504)])
    # 420 in 100 s; 1,176 are left.
    assert line == "small: 504 of 1,680 (30%), 4.2/s, 5 min left, 3 missing: 2 HTTP 500, 1 too long"


def test_a_line_before_the_first_result_says_so_and_one_after_the_last_has_no_time_left() -> None:
    assert Progress("small", 10).line() == "small: 0 of 10 (0%), none yet, 0 s so far"
    assert lines_of(Progress("small", 10), [(0.0, 4), (60.0, 4), (120.0, 4)]).startswith(
        "small: 4 of 10 (40%), none of late"
    )
    assert lines_of(Progress("small", 10), [(0.0, 0), (9.0, 10)]) == "small: 10 of 10 (100%), 0 s so far"
    assert Progress("fit", None).line() == "fit: 0 s so far"


def test_the_rate_is_that_of_late_and_not_of_the_time_a_model_took_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    work = Progress("small", 10_000)
    for seconds, done in ((500, 0), (560, 600), (620, 1_200), (680, 1_800)):
        now[0], work.done = float(seconds), done
        work.look()
    assert work.rate == 10


def test_bytes_are_shown_as_such() -> None:
    work = Progress("download a.csv", 93_000_000, in_bytes=True)
    assert (
        lines_of(work, [(0.0, 0), (2.0, 31_000_000)]) == "download a.csv: 31.0 MB of 93.0 MB (33%), 15.5 MB/s, 4 s left"
    )


def test_a_log_gets_a_line_now_and_then_even_while_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "SAY_EVERY_S", 0.05)
    saved: list[int] = []
    often = threading.Event()

    def save(work: Progress) -> None:
        saved.append(work.done)
        if saved.count(5_000) > 3:
            often.set()

    with progress("small", 10_000, save=save) as work:
        for _ in range(5_000):
            work.advance()
        assert often.wait(60)
    said = capsys.readouterr().err.splitlines()
    assert 1 <= len(said) <= len(saved)
    # Those before it may be of the time while it still counted.
    assert said[-1].startswith("small: 5,000 of 10,000 (50%)")
    assert all(line.startswith("small: ") and " of 10,000 (" in line for line in said)
    assert saved[-1] == 5_000
    assert work.ended


def test_short_work_says_nothing_and_an_error_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    saved: list[bool] = []
    with pytest.raises(KeyError), progress("small", 3, save=lambda work: saved.append(work.ended)) as work:
        work.advance()
        raise KeyError
    assert capsys.readouterr().err == ""
    assert saved[-1] is True
    assert threading.active_count() < 50


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress("small [x]", 3, done=1) as work:
        work.advance(2, tokens=10, missing="HTTP 500")
    said = capsys.readouterr().err
    assert "small [x]" in said
    assert "3/3" in said
    assert "1 missing" in said


def test_rates_and_times_are_in_the_unit_that_reads_best() -> None:
    assert [pace(x) for x in (1234.5, 12, 3.42, 0.5, 0.01)] == ["1,234/s", "12/s", "3.4/s", "30/min", "36.0/h"]
    assert [duration(x) for x in (8, 99, 150, 7_200, 200_000)] == ["8 s", "99 s", "2 min", "2.0 h", "2.3 days"]


def test_a_servers_words_are_cut_and_cannot_steer_a_terminal() -> None:
    shown = reasons({"\x1b[2J" + "w" * 500 + "\nmore": 2, "b": 1, "c": 1, "d": 1, "e": 1})
    assert shown.isprintable()
    assert len(shown) < 150
    assert shown.endswith("1 b, 1 c and 2 more")


def test_a_rate_is_read_while_the_work_goes_on() -> None:
    work = Progress("small", 10**9)
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            work.advance(missing=f"reason {work.done % 97}")

    worker = threading.Thread(target=count)
    worker.start()
    try:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            work.look()
            assert work.line().startswith("small: ")
    finally:
        stop.set()
        worker.join()
