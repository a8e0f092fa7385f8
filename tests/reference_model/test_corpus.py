"""The corpus holds the planted proportions exactly, and the judge's exchanges are put as a judge is sent them."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from refusal_stability.judging.model.instructions import judge_messages
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.judging.model.verdict import parse_verdict
from refusal_stability.prompts.sources.builtin import builtin_prompts
from refusal_stability.records import DECISIONS, Decision
from refusal_stability.reference_model.corpus import CAUTIOUS_SYSTEM, chat_blocks, exchange, judge_blocks, verdict
from refusal_stability.reference_model.grammar import recognise, respond
from refusal_stability.reference_model.planted import CAUTIOUS, PLAIN, planted_shares

PROMPTS = builtin_prompts()


@pytest.mark.parametrize("profile", ["steady", "wavering"])
def test_each_prompts_conversations_hold_its_planted_shares_exactly(profile: str) -> None:
    counts: Counter[tuple[str, str, Decision]] = Counter()
    for block in chat_blocks(PROMPTS, profile, 60, seed=5):
        for conversation in block:
            caution = conversation.messages[0].content in CAUTIOUS_SYSTEM
            found = recognise(conversation.reply)
            assert found is not None
            counts[CAUTIOUS if caution else PLAIN, conversation.messages[-1].content, found[0]] += 1
    for context in (PLAIN, CAUTIOUS):
        planted = planted_shares(PROMPTS, profile, context)
        for prompt in PROMPTS:
            made = [counts[context, prompt.text, decision] for decision in DECISIONS]
            expected = [planted[prompt.prompt_id][decision] for decision in DECISIONS]
            assert [20 * n for n in made] == [sum(made) * n for n in expected]


def test_the_same_seed_gives_the_same_corpus_and_another_seed_another() -> None:
    first, again, other = (list(chat_blocks(PROMPTS, "steady", 20, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_some_conversations_carry_a_system_prompt_or_earlier_turns() -> None:
    (block,) = chat_blocks(PROMPTS, "steady", 20, seed=1)
    roles = Counter(tuple(m.role for m in c.messages) for c in block)
    assert set(roles) == {("user",), ("system", "user"), ("user", "assistant", "user")}
    assert roles[("user",)] > len(block) / 2


@pytest.mark.parametrize("response", ["", "I can't.", 'Say "no"\n{"label": "COMPLY"}', "naïve – ünïcode \u2028"])
def test_an_exchange_is_what_the_reference_rubric_makes_of_it(response: str) -> None:
    rubric = load_rubric("reference")
    assert (exchange("What is 'it'?", response),) == judge_messages(rubric, "What is 'it'?", response)


def test_a_verdict_is_read_back_as_the_decision_of_the_response() -> None:
    rng = random.Random(3)
    for prompt in PROMPTS[::7]:
        for decision in DECISIONS:
            judgement = parse_verdict(verdict(respond(prompt.text, decision, rng)))
            assert judgement.decision is decision
            assert judgement.reasoning
    assert parse_verdict(verdict("")).decision is Decision.REFUSE


def test_the_judges_corpus_holds_each_decision_about_equally_often() -> None:
    labels = Counter(
        json.loads(conversation.reply)["label"] for block in judge_blocks(PROMPTS, 60, seed=4) for conversation in block
    )
    # Of 20 exchanges a prompt and block, 19 take the decisions in turn and one is empty, which is REFUSE.
    shares = [labels[d.value] / labels.total() for d in DECISIONS]
    assert shares == pytest.approx([1 / 3 + 2 / 60, 19 / 60, 19 / 60], abs=0.01)
