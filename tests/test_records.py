"""The plain data: what contradicts itself is refused, and what follows from the rest is derived."""

from __future__ import annotations

import pytest

from refusal_stability.records import (
    DECISIONS,
    MISSING,
    NOT_SAMPLED,
    Completion,
    Decision,
    Intervention,
    Judgement,
    Message,
    Outcome,
    Prompt,
)

EARLIER = (Message("user", "Hello"), Message("assistant", "Hi"))
PROMPT = Prompt("p", "Why?", "", "", (*EARLIER, Message("user", "Why?")))


def test_no_decision_has_the_code_of_what_is_missing_or_not_sampled() -> None:
    assert {MISSING, NOT_SAMPLED}.isdisjoint(range(len(DECISIONS)))
    assert MISSING != NOT_SAMPLED


def test_a_single_turn_is_a_conversation_of_one_message() -> None:
    assert Prompt("p", "Why?", "", "").conversation == (Message("user", "Why?"),)
    assert Prompt("p", "Why?", "", "").earlier_turns == ()
    assert PROMPT.earlier_turns == EARLIER


def test_a_conversation_ends_in_the_prompts_own_text() -> None:
    with pytest.raises(ValueError, match="ends in the user turn"):
        Prompt("p", "Why?", "", "", EARLIER)


def test_harm_is_one_of_two_or_unknown() -> None:
    with pytest.raises(ValueError, match="harmful or benign"):
        Prompt("p", "Why?", "", "", harm="bad")


def test_an_intervention_precedes_the_whole_conversation() -> None:
    shots = (Message("user", "1+1"), Message("assistant", "2"))
    messages = Intervention("careful", "Be careful.", shots).messages(PROMPT)
    assert messages == (Message("system", "Be careful."), *shots, *PROMPT.conversation)


def test_two_system_texts_become_one_message() -> None:
    prompt = Prompt("p", "Why?", "", "", (Message("system", "You are Bo."), Message("user", "Why?")))
    assert Intervention("none").messages(prompt) == prompt.conversation
    first = Intervention("careful", "Be careful.").messages(prompt)[0]
    assert first == Message("system", "Be careful.\n\nYou are Bo.")


@pytest.mark.parametrize(
    ("finish_reason", "missing_reason", "outcome"),
    [
        ("stop", None, Outcome.ANSWERED),
        ("unknown", None, Outcome.ANSWERED),
        ("length", None, Outcome.CUT),
        ("", "timed out", Outcome.UNANSWERED),
    ],
)
def test_an_outcome_that_is_not_given_follows_from_the_rest(
    finish_reason: str, missing_reason: str | None, outcome: Outcome
) -> None:
    assert Completion("", finish_reason, missing_reason=missing_reason).outcome == outcome


@pytest.mark.parametrize(
    ("missing_reason", "outcome"),
    [(None, Outcome.BLOCKED), ("timed out", Outcome.ANSWERED), ("timed out", Outcome.CUT)],
)
def test_an_outcome_that_contradicts_the_text_is_refused(missing_reason: str | None, outcome: Outcome) -> None:
    with pytest.raises(ValueError, match="does not fit missing_reason"):
        Completion("", "", missing_reason=missing_reason, outcome=outcome)


def test_a_confidence_is_a_probability() -> None:
    assert Judgement(Decision.REFUSE, "", confidence=1.0).confidence == 1.0
    with pytest.raises(ValueError, match="not between 0 and 1"):
        Judgement(Decision.REFUSE, "", confidence=1.5)
