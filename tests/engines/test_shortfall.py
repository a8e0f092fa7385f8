"""When a run counts as done."""

from __future__ import annotations

import pytest

from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.shortfall import check_answered
from refusal_stability.records import Completion, Outcome

PASSING = Completion("", "", missing_reason="HTTP 500 (tries: 9)", details={"passing": True})
REJECTED = Completion("", "", missing_reason="HTTP 400: too long", details={"rejected": True})
ANSWERED = Completion("text", "stop")
BLOCKED = Completion("", "", missing_reason="HTTP 400: filtered", outcome=Outcome.BLOCKED)


def test_more_gaps_than_allowed_fail_the_run_so_that_the_next_one_asks_again() -> None:
    with pytest.raises(EngineError, match=r"3 of 100 requests went unanswered \(3 HTTP 500 \(tries: 9\)\)"):
        check_answered("m", [PASSING] * 3 + [ANSWERED] * 97, 0.02)
    assert "generate@m` asks again" in (check_answered("m", [PASSING] * 2 + [ANSWERED] * 98, 0.02) or "")


def test_gaps_that_asking_again_cannot_fill_do_not_fail_the_run() -> None:
    assert check_answered("m", [Completion("", "", missing_reason="labels only")] * 100, 0.02) is None
    assert check_answered("m", [REJECTED] * 99 + [ANSWERED], 0.02) is None
    assert check_answered("m", [], 0.02) is None


def test_a_server_that_rejects_every_request_fails_the_run() -> None:
    with pytest.raises(
        EngineError, match=r"rejects every request \(4 HTTP 400: too long\); correct sampling\.max_tokens"
    ):
        check_answered("m", [REJECTED] * 4, 1.0)


@pytest.mark.parametrize("grid", [[BLOCKED] * 4, [BLOCKED, REJECTED, BLOCKED]])
def test_a_server_that_blocks_every_request_fails_the_run(grid: list[Completion]) -> None:
    with pytest.raises(EngineError, match="blocks every request"):
        check_answered("m", grid, 1.0)
    assert check_answered("m", [*grid, ANSWERED], 0.0) is None


def test_blocks_that_count_as_refusals_are_a_result_and_a_warning() -> None:
    warned = check_answered("m", [BLOCKED] * 4, 0.0, blocks_count=True)
    assert "each block counts as a refusal" in (warned or "")
