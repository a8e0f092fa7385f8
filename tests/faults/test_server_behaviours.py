"""One request that a server answers in a wrong way: the others are kept, and the run ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import server_behaviours

SOME = [
    "tokens: Infinity",
    "usage: 800 levels",
    "usage: 90,000 levels",
    "model: NaN",
    "content: 5,000 digits",
    "reason: 800 levels",
    "Retry-After: NaN",
    "Retry-After: Thu, 01 Jan 99999999999999999999 00:00:0",
    "status 407",
    "gzip bomb",
    "endless",
    "status 503",
    "content: half a letter",
    "a reason of 1 MB",
    "chunk size 2**70",
    "redirect 308 elsewhere",
]


def test_one_poisoned_answer_costs_no_other_and_no_more_than_its_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refusal_stability.engines.http.transport.LONGEST_BACKOFF_S", 0.2)
    assert set(SOME) <= server_behaviours.behaviours().keys()
    counts = server_behaviours.run(tmp_path, SOME)
    assert sum(counts.values()) == len(SOME)
    # How long it took says how busy the machine is; `make faults` looks at that too.
    assert not counts.keys() & (server_behaviours.BAD - {"too long"})
