"""The benchmark's texts of six blind writers: all are read, each has two labels, and halves share no prompt."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from refusal_stability.records import DECISION_NAMES

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(name="six")
def _six(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import six_writers

    yield six_writers
    sys.modules.pop("six_writers")


def test_every_writer_has_a_hundred_answers_and_those_with_two_equal_labels_count(six: object) -> None:
    rows = [json.loads(line) for line in (BENCHMARKS / "six_writers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert Counter(row["writer"] for row in rows) == dict.fromkeys(range(1, 7), 100)
    assert {row["label"] for row in rows} == {row["second_label"] for row in rows} == set(DECISION_NAMES)
    agreed = Counter(row["writer"] for row in rows if row["label"] == row["second_label"])
    by_writer = six.texts_by_writer()  # type: ignore[attr-defined]
    assert {writer: len(texts) for writer, texts in by_writer.items()} == agreed
    halves: dict[str, set[str]] = {"seen": set(), "unseen": set()}
    for writer, texts in by_writer.items():
        assert {text.half for text in texts} == {"unseen" if writer in (4, 6) else "seen"}
        halves[texts[0].half] |= {text.prompt for text in texts}
    assert not halves["seen"] & halves["unseen"]
