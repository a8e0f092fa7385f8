"""Trying patterns only where they can match changes nothing: neither what they find nor which words are counted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_stability.judging.rules import phrases
from refusal_stability.judging.rules.anchors import FIGURES, PART, START, WHOLE, Anchor, needs_of
from refusal_stability.judging.rules.parsed_response import ParsedResponse
from refusal_stability.judging.rules.scorecard import card, words_of
from refusal_stability.judging.rules.speech_act import Sentence, SpeechAct, joined

ACTS = {name: act for name, act in vars(phrases).items() if isinstance(act, SpeechAct)}
WORDS = sorted({word for act in ACTS.values() for word in re.findall(r"[a-z']+", act.pattern.pattern)})
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


@pytest.mark.parametrize("name", ACTS)
@settings(max_examples=40)
@given(data=st.data())
def test_nothing_that_matches_is_passed_over(name, data):
    act = ACTS[name]
    found = data.draw(st.from_regex(act.pattern))
    assert act.search(Sentence(found)) is not None
    assert act.shown(Sentence(found))
    assert list(act.finditer(Sentence(found)))
    assert act.shown(joined([Sentence("so it is"), Sentence(found)])) == act.shown("so it is\n" + found)


@settings(max_examples=200)
@given(SENTENCES)
def test_a_sentence_shows_what_its_text_shows(text):
    sentence = Sentence(text)
    for name, act in ACTS.items():
        assert act.shown(sentence) == (act.pattern.search(text) is not None), name
        assert (act.match(sentence) is None) == (act.pattern.match(text) is None), name


@given(st.lists(SENTENCES, max_size=4), st.integers(0, 40))
def test_joined_sentences_show_what_the_cut_text_shows(texts, limit):
    whole = joined([Sentence(text) for text in texts], limit)
    assert whole == "\n".join(texts)[:limit]
    for name, act in ACTS.items():
        assert act.shown(whole) == (act.pattern.search(str(whole)) is not None), name


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        (r"\bhere(?:'s| is)\b", [{Anchor(START, "here")}]),
        (r"\bno (?:\w+ )?excuse\b", [{Anchor(WHOLE, "excuse")}, {Anchor(WHOLE, "no")}]),
        (r"\bnot (?:a|the)\b|n't\b", [{Anchor(WHOLE, "not"), Anchor(WHOLE, "t")}]),
        (r"colou?rs", [{Anchor(PART, "colo")}]),
        (r"\b(?:988|help\w*)", [{Anchor(FIGURES, "988"), Anchor(START, "help")}]),
        (r"(?:x|\w)", []),
        (r"\bso(?! that)", [{Anchor(START, "so")}]),
        (r"(?:very ){0,2}?good", [{Anchor(PART, "good")}]),
    ],
)
def test_what_a_pattern_needs(source, needs):
    found = needs_of(source)
    assert [set(anchors) for anchors in found[: len(needs)]] == needs


def test_the_most_used_patterns_know_what_they_need():
    lacking = {name for name, act in ACTS.items() if not needs_of(act.pattern.pattern)}
    assert not lacking


@given(st.lists(st.sampled_from([*WORDS, "^", "i", "can't", "how", "why", ". ", "\n"]), max_size=60), SENTENCES)
def test_the_card_counts_the_words_that_a_response_has(words, question):
    parsed = ParsedResponse(question, " ".join(words))
    known = card().words
    assert card().found(parsed) == {word: known[word] for word in words_of(parsed) if word in known}
