"""Trying patterns only where they can match changes nothing: neither what they find nor which words are counted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_stability.judging.rules import phrases
from refusal_stability.judging.rules.anchors import FIGURES, PART, START, WHOLE, Anchor, needs_of
from refusal_stability.judging.rules.features import AT_FIRST, EARLY, INSIDE, LATE, REST_CHARACTERS, WITHIN, features
from refusal_stability.judging.rules.parsed_response import ParsedResponse
from refusal_stability.judging.rules.scorecard import BitRows, card, unpacked, words_of
from refusal_stability.judging.rules.speech_act import Sentence, SpeechAct

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
    if act in INSIDE:
        assert INSIDE[act].shown(Sentence(found)) == act.shown("\n" + found)


@settings(max_examples=200)
@given(SENTENCES)
def test_a_sentence_shows_what_its_text_shows(text):
    sentence = Sentence(text)
    for name, act in ACTS.items():
        assert act.shown(sentence) == (act.pattern.search(text) is not None), name
        assert (act.match(sentence) is None) == (act.pattern.match(text) is None), name


@settings(max_examples=200)
@given(SENTENCES)
def test_a_group_finds_what_each_of_its_acts_finds(text):
    for group in (AT_FIRST, EARLY, LATE, WITHIN):
        found = group.shown(Sentence(text))
        for act in Sentence.vocabulary.acts:
            if act.bit & group.bits:
                assert bool(found & act.bit) == act.shown(text), act.pattern.pattern


@given(st.lists(SENTENCES.filter(bool), min_size=1, max_size=9))
def test_the_features_of_early_and_later_sentences_are_those_of_their_lines(texts):
    parsed = ParsedResponse("", "\n".join(texts))
    shown = features(parsed).named() if parsed.read else {}
    head, rest = "\n".join(parsed.read[1:3]), "\n".join(parsed.read[3:])[:REST_CHARACTERS]
    for name in [name for name in shown if name.endswith((" early", " later"))]:
        act, _, place = name.partition(" ")
        if act in ACTS:
            where = ACTS[act].pattern.search(head if place == "early" else rest) is not None
            at_first = place == "early" and ACTS[act].shown(parsed.first)
            assert shown[name] == float(where or at_first), name


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


ROWS = st.tuples(*[st.integers(-(10**6), 10**6)] * 3)


@given(st.lists(ROWS, min_size=1, max_size=40), st.data())
def test_rows_are_added_by_their_bits(rows, data):
    chosen = data.draw(st.sets(st.integers(0, len(rows) - 1)))
    total = BitRows(enumerate(rows), len(rows)).total(sum(1 << place for place in chosen))
    sums = [sum(rows[place][which] for place in chosen) for which in range(3)]
    assert unpacked(total) == (*sums, len(chosen))


PIECES = [*WORDS, "^", "i", "can't", "how", "why", "self-harm", "a-b-c", "x:y", "...", "it's?", ".", ". ", "\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=120), SENTENCES)
def test_the_card_counts_the_words_that_a_response_has(words, question):
    parsed = ParsedResponse(question, " ".join(words))
    if not parsed.read:
        return
    shown, known = features(parsed), card().words
    found = {word: known[word] for word in words_of(parsed) if word in known}
    assert card().found(parsed) == found
    entries = card().entries(parsed, shown)
    for place, points in enumerate(card().points(parsed, shown)):
        earned = card().constant[place] + sum(size * row[place] for _, size, row in entries)
        assert points == pytest.approx(earned / 100, abs=1e-9)
