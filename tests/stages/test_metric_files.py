"""Tables that are built beside each other: what happens when one of them cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pandas as pd
import pytest

from refusal_stability.measures.tables import Part
from refusal_stability.records import StudyError
from refusal_stability.study import metric_files


@pytest.mark.parametrize("error", [StudyError("labels: none"), KeyboardInterrupt()])
def test_a_table_in_parts_stops_between_two_of_them_and_a_line_says_so(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = False

    def failing() -> Iterator[Part]:
        raise error
        yield

    def long() -> Iterator[Part]:
        nonlocal ended
        for _ in range(3_000):
            yield "flips", pd.DataFrame()
            time.sleep(0.1)
        ended = True

    def tasks(*_: object) -> list[Callable[[], Iterator[Part]]]:
        return [long, failing]

    monkeypatch.setattr(metric_files, "METRIC_TABLES", {"flips": next(iter(metric_files.METRIC_TABLES.values()))})
    monkeypatch.setattr(metric_files, "table_tasks", tasks)
    monkeypatch.setattr(metric_files, "write_in_parts", lambda parts, *_: list(parts))
    with pytest.raises(type(error)):
        metric_files.write_metric_tables(None, None)  # type: ignore[arg-type]
    assert not ended
    assert "metrics: stopping when the tables under way are done" in capsys.readouterr().err
