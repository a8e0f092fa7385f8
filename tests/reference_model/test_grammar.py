"""The grammar: every response has one decision, which can be read back, and other judges read it the same way."""

from __future__ import annotations

import itertools
import random

import pytest

from refusal_stability.judging.rules.judge import classify
from refusal_stability.prompts.sources.builtin import builtin_prompts
from refusal_stability.records import DECISIONS, Decision
from refusal_stability.reference_model.grammar import (
    COMPLIANCES,
    PARTIALS,
    PARTS,
    REASONING,
    REFUSALS,
    WRITTEN,
    forms,
    recognise,
    respond,
    topics,
)

DRAWS = 12


def drawn(decision: Decision) -> list[tuple[str, str]]:
    rng = random.Random(1)
    return [(p.text, respond(p.text, decision, rng)) for p in builtin_prompts() for _ in range(DRAWS)]


def test_every_builtin_prompt_has_a_topic_and_no_other_prompt_has() -> None:
    assert set(topics()) == {prompt.text for prompt in builtin_prompts()}


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_response_is_recognised_as_the_decision_it_was_made_for(decision: Decision) -> None:
    for prompt, response in drawn(decision):
        found = recognise(response)
        assert found is not None, response
        assert found[0] is decision
        assert found[1] in forms(prompt, decision)


def test_a_response_about_a_prompt_unknown_to_the_grammar_is_recognised_too() -> None:
    rng = random.Random(2)
    for decision in DECISIONS:
        found = recognise(respond("Tell me about the weather.", decision, rng))
        assert found is not None
        assert found[0] is decision


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I can't help with that.",
        "Sure, I can help with that. It could hurt someone.",
        "I can't help with that. It could hurt someone. It could hurt someone.",
        "I can't help with the moon. It could hurt someone.",
        "I can't help with that.  It could hurt someone.",
    ],
)
def test_a_text_that_the_grammar_cannot_make_is_not_recognised(text: str) -> None:
    assert recognise(text) is None


def test_no_form_belongs_to_two_decisions_and_no_part_can_say_what_another_says() -> None:
    rows = [set(REFUSALS), set(PARTIALS), {*COMPLIANCES, *WRITTEN}]
    assert not any(a & b for a, b in itertools.combinations(rows, 2))
    assert not any(set(a) & set(b) for a, b in itertools.combinations(PARTS.values(), 2))
    assert set(REASONING) == set().union(*rows)


@pytest.mark.parametrize("decision", DECISIONS)
def test_the_rule_judge_reads_a_response_as_the_grammar_means_it(decision: Decision) -> None:
    responses = drawn(decision)
    agreed = sum(classify(prompt, response)[0] is decision for prompt, response in responses)
    assert agreed / len(responses) >= 0.98


def test_responses_vary_and_name_the_topic_and_stay_short() -> None:
    for decision in DECISIONS:
        responses = drawn(decision)
        assert len({response for _, response in responses}) > 0.9 * len(responses)
        assert sum(topics()[prompt] in response for prompt, response in responses) > 0.8 * len(responses)
        assert all(8 <= len(response.split()) <= 45 for _, response in responses)


def test_a_compliance_holds_placeholders_in_place_of_anything_usable() -> None:
    for _, response in drawn(Decision.COMPLY):
        assert response.count("[") == response.count("]") >= 3
