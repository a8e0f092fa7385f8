"""The planted shares: sums, quotas, and the caution that a system prompt adds."""

from __future__ import annotations

import pytest

from refusal_stability.prompts.sources.builtin import builtin_prompts
from refusal_stability.records import DECISIONS, Decision
from refusal_stability.reference_model.planted import (
    BORDERLINE,
    CAUTIOUS,
    HARMLESS,
    PROFILES,
    UNITS,
    planted_shares,
    planted_table,
    share_array,
)

PROMPTS = builtin_prompts()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("context", ["plain", CAUTIOUS])
def test_shares_of_a_prompt_add_up_to_one(profile: str, context: str) -> None:
    shares = planted_shares(PROMPTS, profile, context)
    assert set(shares) == {p.prompt_id for p in PROMPTS}
    assert all(sum(row.values()) == UNITS and min(row.values()) >= 0 for row in shares.values())


@pytest.mark.parametrize(("profile", "borderline"), [("steady", 17), ("wavering", 42)])
def test_a_fifth_or_half_of_the_84_prompts_are_borderline(profile: str, borderline: int) -> None:
    # 0.2 * 84 = 16.8, rounded 17; 0.5 * 84 = 42
    rows = [tuple(row.values()) for row in planted_shares(PROMPTS, profile).values()]
    assert sum(max(row) < UNITS for row in rows) == borderline
    assert sum(row == (UNITS, 0, 0) for row in rows) >= 20


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("context", ["plain", CAUTIOUS])
def test_harmless_prompts_are_always_answered(profile: str, context: str) -> None:
    shares = planted_shares(PROMPTS, profile, context)
    harmless = [p for p in PROMPTS if p.category == HARMLESS]
    assert len(harmless) == 14
    assert all(shares[p.prompt_id][Decision.COMPLY] == UNITS for p in harmless)


def test_caution_moves_half_of_what_helps_to_refusal() -> None:
    plain, cautious = (planted_shares(PROMPTS, "wavering", context) for context in ("plain", CAUTIOUS))
    # 10, 4, 6 twentieths become 20 - 2 - 3 = 15, 2, 3
    found = [cautious[i] for i, row in plain.items() if tuple(row.values()) == (10, 4, 6)]
    assert found
    assert all(tuple(row.values()) == (15, 2, 3) for row in found)
    assert all(cautious[i][Decision.REFUSE] >= row[Decision.REFUSE] for i, row in plain.items())


def test_shares_do_not_depend_on_the_order_of_the_prompts_and_differ_between_profiles() -> None:
    assert planted_shares(PROMPTS[::-1], "steady") == planted_shares(PROMPTS, "steady")
    assert planted_shares(PROMPTS, "steady") != planted_shares(PROMPTS, "wavering")


def test_borderline_rows_are_varied_and_none_is_certain() -> None:
    assert all(sum(row) == UNITS and max(row) < UNITS for row in BORDERLINE)
    assert len(set(BORDERLINE)) == len(BORDERLINE)
    assert len({max(range(3), key=row.__getitem__) for row in BORDERLINE}) == 3


def test_the_table_and_the_array_hold_the_same_shares() -> None:
    table = planted_table(PROMPTS, "wavering")
    plain = table[table["context"] == "plain"]
    assert list(plain["prompt_id"]) == [p.prompt_id for p in PROMPTS]
    array = share_array(PROMPTS, planted_shares(PROMPTS, "wavering"))
    assert (plain[[d.value for d in DECISIONS]].to_numpy() == array).all()
    assert len(table) == 2 * len(PROMPTS)
