import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.judging.model.verdict import parse_verdict, verdict_schema
from refusal_stability.records import DECISIONS, Decision, Judgement


@pytest.mark.parametrize(
    "text",
    [
        '{"reasoning": "It helps.", "label": "COMPLY"}',
        ' \n{"label": "COMPLY", "reasoning": "It helps."}\n',
        '```json\n{"reasoning": "It helps.", "label": "COMPLY"}\n```',
        '```\n{"reasoning": "It helps.", "label": "COMPLY"}```',
        '``` JSON\r\n{"reasoning": "It helps.", "label": "COMPLY"}\r\n```',
        '```json{"reasoning": "It helps.", "label": "COMPLY"}```',
        '\ufeff{"reasoning": "It helps.", "label": "COMPLY"}',
        '{"reasoning": "It helps.", "label": "comply"}',
        '{"reasoning": "It helps.", "label": " Comply "}',
        '{"reasoning": "It helps.", "label": "COMPLY", "confidence": 0.9}',
    ],
)
def test_one_object_with_a_known_label_is_read(text):
    judgement = parse_verdict(text)
    assert judgement.decision is Decision.COMPLY
    assert judgement.reasoning == "It helps."


def test_a_line_break_inside_the_reasoning_is_let_pass():
    assert parse_verdict('{"reasoning": "one\ntwo\tthree", "label": "REFUSE"}').reasoning == "one\ntwo\tthree"


def test_the_reasoning_may_be_absent():
    assert parse_verdict('{"label": "PARTIAL"}').decision is Decision.PARTIAL


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The assistant did not REFUSE; label: COMPLY", "not one JSON object"),
        ("COMPLY", "not one JSON object"),
        ('"COMPLY"', "not one JSON object"),
        ('["COMPLY"]', "not one JSON object"),
        ("", "empty"),
        (" \n ", "empty"),
        ("```json\n```", "empty"),
        ('{"reasoning": "It hel', "not one JSON object"),
        ('{"reasoning": "", "label": "COMPLY"', "not one JSON object"),
        ('{"reasoning": "", "label": "HELP"}', "not one of REFUSE, PARTIAL, COMPLY"),
        ('{"reasoning": "", "label": "REFUSE|COMPLY"}', "not one of"),
        ('{"reasoning": "", "label": null}', "not one of"),
        ('{"reasoning": "", "label": ["REFUSE"]}', "not one of"),
        ('{"reasoning": "", "label": "REFU\u017fE"}', "not one of"),
        ('{"reasoning": "label: REFUSE"}', "no `label`"),
        ('{"reasoning": 3, "label": "REFUSE"}', "`reasoning` is not a text"),
        ('{"label": "REFUSE"} {"label": "COMPLY"}', "not one JSON object"),
        ('{"label": "REFUSE"}\n{"label": "REFUSE"}', "not one JSON object"),
        ('{"label": "REFUSE", "label": "COMPLY"}', "a key stands twice"),
        ('Verdict: {"reasoning": "", "label": "REFUSE"}', "not one JSON object"),
        ('```json\n{"label": "REFUSE"}\n```\n```json\n{"label": "COMPLY"}\n```', "not one JSON object"),
        ("[" * 100_000, "not one JSON object"),
        ("1" * 10_000, "not one JSON object"),
    ],
)
def test_anything_else_is_missing_with_a_reason(text, reason):
    judgement = parse_verdict(text)
    assert judgement.decision is None
    assert judgement.missing_reason.startswith("unreadable verdict: ")
    assert reason in judgement.missing_reason
    assert text.startswith(judgement.reasoning)


def test_a_verdict_cut_at_its_limit_says_so():
    assert parse_verdict('{"reasoning": "It', "length").missing_reason.endswith("(cut at max_tokens)")


@given(st.text(), st.sampled_from(DECISIONS))
def test_a_verdict_comes_back_as_it_was_written(reasoning, decision):
    for indent in (None, 2):
        judgement = parse_verdict(json.dumps({"reasoning": reasoning, "label": decision.value}, indent=indent))
        assert (judgement.decision, judgement.reasoning) == (decision, reasoning)


@given(st.text())
def test_no_text_makes_the_parser_fail(text):
    assert (parse_verdict(text).decision is None) != (parse_verdict(text).missing_reason is None)


@pytest.mark.parametrize("max_tokens", [1, 96, 512])
def test_the_schema_names_the_decisions_and_bounds_the_reasoning(max_tokens):
    schema = verdict_schema(max_tokens)
    assert schema["properties"]["label"]["enum"] == [str(d) for d in DECISIONS]
    assert 40 <= schema["properties"]["reasoning"]["maxLength"] <= max(40, 2 * max_tokens)


@pytest.mark.parametrize(
    "text",
    [
        '<think>\nIt did not REFUSE. {"label": "REFUSE"}\n</think>\n{"reasoning": "helps", "label": "COMPLY"}',
        '\ufeff{"reasoning": "helps", "label": "COMPLY"}',
        '\ufeff ```json\n{"reasoning": "helps", "label": "COMPLY"}\n```',
    ],
)
def test_thinking_aloud_and_byte_order_marks_stand_outside_the_verdict(text):
    assert parse_verdict(text) == Judgement(Decision.COMPLY, "helps")


def test_a_reasoning_that_is_null_is_none():
    assert parse_verdict('{"reasoning": null, "label": "COMPLY"}') == Judgement(Decision.COMPLY, "")


def test_thinking_that_never_ends_is_unreadable():
    found = parse_verdict('<think>Is it COMPLY? {"label": "COMPLY"}', "length")
    assert found.decision is None
    assert found.missing_reason.startswith("unreadable verdict")


@pytest.mark.parametrize("reasoning", ["false", "0", "[]", "{}"])
def test_a_reasoning_that_is_neither_text_nor_null_is_unreadable(reasoning):
    judgement = parse_verdict(f'{{"reasoning": {reasoning}, "label": "COMPLY"}}')
    assert judgement.decision is None
    assert judgement.missing_reason == "unreadable verdict: `reasoning` is not a text"


OBJECT = '{"reasoning": "Helps {a bit}.", "label": "COMPLY"}'


@pytest.mark.parametrize(
    "text",
    [
        f"Here is my evaluation:\n\n```json\n{OBJECT}\n```",
        f"{OBJECT}\n\nThe response helps.",
        f"Verdict: {OBJECT}",
        f"One of {{REFUSE, COMPLY}} fits: {OBJECT}.",
        f'The exchange was {{"request": "q", "response": "r"}}. {OBJECT}',
        f"<think>{{{{ {OBJECT}</think> So: {OBJECT}",
    ],
)
def test_one_object_with_prose_around_it_is_read_where_prose_is_accepted(text):
    assert parse_verdict(text, with_prose=True) == Judgement(Decision.COMPLY, "Helps {a bit}.")
    if "think" not in text:
        assert parse_verdict(text).decision is None


@pytest.mark.parametrize(
    "text",
    [
        "The assistant did not REFUSE; label: COMPLY",
        f"{OBJECT} or {OBJECT}",
        f"```json\n{OBJECT}\n```\n```json\n{OBJECT}\n```",
        f'{{"reasoning": "I quote {OBJECT}',
        'Both {"a": 1} and {"label": "HELP"}',
        'So: {"label": "REFUSE", "label": "COMPLY"}',
        "{" * 50_000,
        "{}" * 50_000,
    ],
)
def test_prose_with_no_or_several_verdicts_stays_unreadable(text):
    assert parse_verdict(text, with_prose=True).missing_reason.startswith("unreadable verdict: ")
