"""What becomes of an answer: by finish reason, body and status, through the engine and the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http import anthropic_messages
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.http.said import completion
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store
from refusal_stability.params.checks import parsed
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Outcome, Request, Sampling

REFUSAL = "I'm sorry, but I can't help with that."
THOUGHT = "The user wants steps."
Serve = Callable[..., Any]
Answer = tuple[int, Any]


def said(content: Any, reason: Any = "stop", **more: Any) -> Answer:
    message = {"role": "assistant", "content": content} | more
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": None}


def failed(status: int, message: str, code: Any = None, **more: Any) -> Answer:
    return status, {"error": {"message": message, "code": code}} | more


def asked(count: int) -> list[Request]:
    return [Request((Message("user", f"{n}"),), Sampling(0.7, n, n, max_tokens=16)) for n in range(count)]


def engine_at(server: Any, **settings: Any) -> HTTPEngine:
    chosen = {"base_url": f"http://127.0.0.1:{server.port}/v1", "concurrency": 2, "max_retries": 1} | settings
    return HTTPEngine(ModelParams(engine="openai", path="m"), parsed(OpenAISettings, chosen), "models.m")


def with_choice(content: Any, reason: Any, **choice: Any) -> Answer:
    """An answer with further fields in its choice."""
    status, body = said(content, reason)
    body["choices"][0] |= choice
    return status, body


def one(serve: Serve, tmp_path: Path, answer: Answer, **settings: Any) -> Completion:
    """What becomes of `answer` as the second one of a run."""
    server = serve(lambda _, body: answer if body["messages"][0]["content"] == "1" else said("Fine."))
    with Store(tmp_path / "store.sqlite") as store:
        return complete_stored(engine_at(server, **settings), asked(2), store, "test")[1]


@pytest.mark.parametrize(
    ("answer", "outcome", "text", "thinking"),
    [
        (said(REFUSAL), "answered", REFUSAL, ""),
        (said(REFUSAL, "end_turn"), "answered", REFUSAL, ""),
        (said(REFUSAL, "STOP"), "answered", REFUSAL, ""),
        (said(REFUSAL, "MAX_TOKENS"), "cut", REFUSAL, ""),
        (said(REFUSAL, "model_length"), "cut", REFUSAL, ""),
        (said("Sure, first", "SAFETY"), "blocked", "", ""),
        (said("Sure, first", "PROHIBITED_CONTENT"), "blocked", "", ""),
        (said("", "content_filter"), "blocked", "", ""),
        (said("Sure, first", "guardrail_intervened"), "blocked", "", ""),
        (said("Sure, first", "refusal"), "refused", "", ""),
        (said(None, "stop", refusal=REFUSAL), "refused", REFUSAL, ""),
        (said([{"type": "refusal", "refusal": REFUSAL}]), "refused", REFUSAL, ""),
        (said(REFUSAL, "tool_calls"), "answered", REFUSAL, ""),
        (said(None, "tool_calls", tool_calls=[{}]), "unanswered", "", ""),
        (said(REFUSAL, "never seen"), "answered", REFUSAL, ""),
        (said(REFUSAL, None), "answered", REFUSAL, ""),
        (said("", "never seen"), "unanswered", "", ""),
        (said(None, None), "unanswered", "", ""),
        (said("", "length"), "unanswered", "", ""),
        (said(f"<think>{THOUGHT}</think>{REFUSAL}"), "answered", REFUSAL, THOUGHT),
        (said(f"{THOUGHT}</think>{REFUSAL}"), "answered", REFUSAL, THOUGHT),
        (said(f"<think>{THOUGHT}", "length"), "unanswered", "", THOUGHT),
        (said(REFUSAL, reasoning_content=THOUGHT), "answered", REFUSAL, THOUGHT),
        (said(REFUSAL, reasoning=THOUGHT, reasoning_content=THOUGHT), "answered", REFUSAL, THOUGHT),
        (said("", "length", reasoning_content=THOUGHT), "unanswered", "", THOUGHT),
        (said(None, "length", reasoning=THOUGHT), "unanswered", "", THOUGHT),
        (said([{"type": "text", "text": REFUSAL}]), "answered", REFUSAL, ""),
        (
            said(
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                    {"type": "text", "text": REFUSAL},
                ]
            ),
            "answered",
            REFUSAL,
            THOUGHT,
        ),
        (said([{"type": "thinking", "thinking": THOUGHT}], "length"), "unanswered", "", THOUGHT),
        (said([REFUSAL]), "answered", REFUSAL, ""),
        (said(REFUSAL, reasoning_details=[{"type": "reasoning.text", "text": THOUGHT}]), "answered", REFUSAL, THOUGHT),
        ((200, said("")[1] | {"usage": {"completion_tokens_details": {"reasoning_tokens": 9}}}), "unanswered", "", ""),
        (said(""), "answered", "", ""),
        ((200, {"choices": [], "prompt_filter_results": [{"x": {"hate": {"filtered": True}}}]}), "blocked", "", ""),
        ((200, {"promptFeedback": {"blockReason": "SAFETY"}}), "blocked", "", ""),
        (said(REFUSAL, "FinishReason.STOP"), "answered", REFUSAL, ""),
        (said("Sure", "FinishReason.SAFETY"), "blocked", "", ""),
        (said(None, "content_filter: RECITATION"), "blocked", "", ""),
        (said("Sure", "contentFilter"), "blocked", "", ""),
        (said(REFUSAL, "maxPredictedTokensReached"), "cut", REFUSAL, ""),
        (said(REFUSAL, "endoftext"), "answered", REFUSAL, ""),
        ((200, {"choices": [{"finish_reason": "content_filter", "index": 0}]}), "blocked", "", ""),
        ((200, {"choices": [{"finish_reason": "length", "message": None}]}), "unanswered", "", ""),
        ((200, {"candidates": [{"finishReason": "SAFETY"}]}), "blocked", "", ""),
        (with_choice("Sure", "stop", native_finish_reason="PROHIBITED_CONTENT"), "blocked", "", ""),
        (with_choice(REFUSAL, "stop", native_finish_reason="MAX_TOKENS"), "cut", REFUSAL, ""),
        (with_choice(REFUSAL, "stop", stop_reason="length"), "answered", REFUSAL, ""),
        (with_choice("Sure", None, stop_reason="refusal"), "refused", "", ""),
        (said("", tool_calls=[{"id": "x"}]), "unanswered", "", ""),
        (said("", refusal=True), "refused", "refused", ""),
        (said(REFUSAL, thinking_blocks=[{"type": "thinking", "thinking": THOUGHT}]), "answered", REFUSAL, THOUGHT),
        (said(REFUSAL, reasoning={"content": THOUGHT}), "answered", REFUSAL, THOUGHT),
        (said(None, "length", reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}]), "unanswered", "", ""),
        (said("", reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}]), "unanswered", "", ""),
        (said([{"text": THOUGHT, "thought": True}, {"text": REFUSAL}]), "answered", REFUSAL, THOUGHT),
        (
            said([{"type": "thinking_delta", "text": THOUGHT}, {"type": "text", "text": REFUSAL}]),
            "answered",
            REFUSAL,
            THOUGHT,
        ),
        (
            said(
                [
                    {"type": "reasoning", "content": None, "summary": [{"type": "summary_text", "text": THOUGHT}]},
                    {"type": "output_text", "text": REFUSAL},
                ]
            ),
            "answered",
            REFUSAL,
            THOUGHT,
        ),
        (
            said([{"reasoningContent": {"reasoningText": {"text": THOUGHT}}}, {"text": REFUSAL}]),
            "answered",
            REFUSAL,
            THOUGHT,
        ),
        (said({"type": "text", "text": REFUSAL}), "answered", REFUSAL, ""),
        ((200, said(REFUSAL)[1] | {"usage": {"prompt_tokens": "few"}}), "answered", REFUSAL, ""),
        ((200, said(REFUSAL)[1] | {"usage": "none"}), "answered", REFUSAL, ""),
        ((200, said(REFUSAL)[1] | {"usage": {"prompt_tokens": float("inf")}}), "answered", REFUSAL, ""),
        ((200, json.dumps(said(REFUSAL)[1] | {"usage": {"x": 5}}).replace("5", "1e999")), "answered", REFUSAL, ""),
        ((200, said(REFUSAL)[1] | {"usage": {"prompt_tokens": 10**30}}), "answered", REFUSAL, ""),
        ((200, "\ufeff" + json.dumps(said(REFUSAL)[1])), "answered", REFUSAL, ""),
        (failed(400, "The prompt was filtered", "content_filter"), "blocked", "", ""),
        (failed(200, "Your input was flagged", 403), "blocked", "", ""),
        (failed(400, "maximum context length is 16 tokens"), "unanswered", "", ""),
        ((400, said("Sure, first", "content_filter")[1]), "blocked", "", ""),
    ],
)
def test_the_outcome_of_an_answer(
    serve: Serve, tmp_path: Path, answer: Answer, outcome: str, text: str, thinking: str
) -> None:
    found = one(serve, tmp_path, answer)
    assert (found.outcome.value, found.text, found.thinking) == (outcome, text, thinking)
    assert (found.missing_reason is None) == (outcome in ("answered", "cut", "refused"))
    assert not found.details.get("passing")


@pytest.mark.parametrize(
    "answer",
    [
        said("half of it", "error"),
        said("half of it", "abort"),
        said("", "insufficient_system_resource"),
        failed(200, "Provider returned error", 502),
        (200, {"choices": None}),
        (200, {"choices": []}),
        (200, {"choices": [{"error": {"code": 502, "message": "upstream"}, "message": {"content": "half"}}]}),
        (200, "null"),
        (500, said("Sure, first")[1]),
    ],
)
def test_a_failure_within_an_answer_is_asked_again_and_then_missing(
    serve: Serve, tmp_path: Path, answer: Answer
) -> None:
    tries: list[str] = []

    def sometimes(_: Any, body: dict[str, Any]) -> Answer:
        tries.append(body["messages"][0]["content"])
        return answer if body["messages"][0]["content"] != "0" and tries.count(tries[-1]) < 2 else said("Fine.")

    server = serve(sometimes)
    with Store(tmp_path / "store.sqlite") as store:
        got = complete_stored(engine_at(server), asked(2), store, "test")
        assert [c.text for c in got] == ["Fine.", "Fine."]
        always = serve(lambda _, body: answer if body["messages"][0]["content"] == "1" else said("Fine."))
        got = complete_stored(engine_at(always), asked(2), store, "test")
    assert got[1].outcome is Outcome.UNANSWERED
    assert got[1].details["passing"]


def test_an_unknown_finish_reason_keeps_its_name_and_is_said_once(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(lambda _, body: said("Fine.", "odd"))
    with Store(tmp_path / "store.sqlite") as store:
        got = complete_stored(engine_at(server), asked(6), store, "test")
    assert {c.finish_reason for c in got} == {"odd"}
    assert caplog.text.count("unknown finish reason 'odd'") == 1


@pytest.mark.parametrize(
    "answer",
    [
        failed(402, "Insufficient Balance"),
        failed(400, "Your credit balance is too low to access the Anthropic API."),
        failed(400, "API key expired. Please renew the API key."),
        failed(200, "Insufficient credits", 402),
        failed(429, "You exceeded your current quota", "insufficient_quota"),
        failed(403, "Account has been suspended"),
        failed(500, "Insufficient account balance"),
    ],
)
def test_whatever_concerns_the_account_ends_the_run_and_the_same_command_goes_on(
    serve: Serve, tmp_path: Path, answer: Answer
) -> None:
    paid = False
    sent: list[str] = []

    def server(_: Any, body: dict[str, Any]) -> Answer:
        sent.append(body["messages"][0]["content"])
        return said("Fine.") if paid or len(sent) <= 5 else answer

    engine = engine_at(serve(server))
    with Store(tmp_path / "store.sqlite") as store, pytest.raises(EngineError, match="run the same command again"):
        complete_stored(engine, asked(20), store, "test")
    assert len(sent) <= 5 + 2
    paid = True
    sent.clear()
    with Store(tmp_path / "store.sqlite") as store:
        got = complete_stored(engine, asked(20), store, "test")
    assert {c.text for c in got} == {"Fine."}
    assert len(sent) == 15


@pytest.mark.parametrize(
    "answer",
    [
        failed(400, "maximum context length is 16 tokens"),
        failed(400, "too much", 400, type="exceed_context_size_error"),
        (400, {"error": {"message": "too much", "code": 400, "type": "exceed_context_size_error"}}),
        failed(400, "The prompt was filtered", "content_filter"),
        failed(400, "System role not supported", 400),
    ],
)
def test_what_concerns_one_prompt_does_so_for_the_first_one_too(serve: Serve, tmp_path: Path, answer: Answer) -> None:
    server = serve(lambda _, body: answer if body["messages"][0]["content"] == "0" else said("Fine."))
    with Store(tmp_path / "store.sqlite") as store:
        got = complete_stored(engine_at(server), asked(5), store, "test")
    assert [c.missing_reason is None for c in got] == [False, True, True, True, True]


@pytest.mark.parametrize("words", ["top_p must be in (0, 1)", "Range of top_k should be [1, 100]"])
def test_a_range_without_a_place_for_off_makes_the_field_go(serve: Serve, tmp_path: Path, words: str) -> None:
    name = words.split(" must")[0].split()[-1] if "must" in words else "top_k"
    server = serve(lambda _, body: failed(400, words) if name in body else said("Fine."))
    with Store(tmp_path / "store.sqlite") as store:
        got = complete_stored(engine_at(server), asked(3), store, "test")
    assert [c.text for c in got] == ["Fine."] * 3


def test_marks_named_later_are_read_without_asking_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _, body: said(f"<plan>{THOUGHT}</plan>{REFUSAL}"))
    with Store(tmp_path / "store.sqlite") as store:
        first = complete_stored(engine_at(server), asked(1), store, "test")[0]
        assert first.text.startswith("<plan>")
        marks = [["<plan>", "</plan>"]]
        again = complete_stored(engine_at(server, thinking_marks=marks), asked(1), store, "test")[0]
    assert (again.text, again.thinking) == (REFUSAL, THOUGHT)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("answer", [failed(400, "Nobody knows this"), (400, said("Sure, first", "stop")[1])])
def test_a_rejection_that_nobody_knows_is_missing_until_asking_again_helps(
    serve: Serve, tmp_path: Path, answer: Answer
) -> None:
    found = one(serve, tmp_path, answer)
    assert (found.outcome, found.text, found.details["passing"]) == (Outcome.UNANSWERED, "", True)


def test_rejections_that_nobody_knows_end_the_run_when_they_follow_each_other(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _, body: said("Fine.") if body["messages"][0]["content"] == "0" else failed(400, "No."))
    with Store(tmp_path / "store.sqlite") as store, pytest.raises(EngineError, match=r"keeps failing: HTTP 400: No\."):
        complete_stored(engine_at(server), asked(50), store, "test")
    assert len(server.bodies) <= 1 + 2 * 2


@pytest.mark.parametrize("reason", ["OTHER", "MALFORMED_RESPONSE"])
@pytest.mark.parametrize("number", ["0", "1"])
def test_an_ending_that_may_be_the_prompts_is_asked_once_more_and_never_fails_the_run(
    serve: Serve, tmp_path: Path, reason: str, number: str
) -> None:
    def gives_up(_: Any, body: dict[str, Any]) -> Answer:
        return said("half", reason) if body["messages"][0]["content"] == number else said("Fine.")

    server = serve(gives_up)
    with Store(tmp_path / "store.sqlite") as store:
        got = complete_stored(engine_at(server, max_retries=8), asked(3), store, "test")
    assert [c.outcome for c in got].count(Outcome.ANSWERED) == 2
    assert got[int(number)].outcome is Outcome.UNANSWERED
    assert not got[int(number)].details.get("passing")
    assert len(server.bodies) == 4


@pytest.mark.parametrize(
    ("body", "outcome", "text"),
    [
        ({"content": None, "stop_reason": "refusal"}, "refused", ""),
        ({"content": REFUSAL, "stop_reason": "end_turn"}, "answered", REFUSAL),
        ({"content": [{"text": REFUSAL}], "stop_reason": "end_turn"}, "answered", REFUSAL),
        ({"content": [{"type": "redacted_thinking", "data": "x"}], "stop_reason": "max_tokens"}, "unanswered", ""),
        ({"content": [{"type": "tool_use", "name": "x"}], "stop_reason": "tool_use"}, "unanswered", ""),
    ],
)
def test_the_outcome_of_a_message_of_anthropic(body: dict[str, Any], outcome: str, text: str) -> None:
    found = completion(anthropic_messages.read(body), {})
    assert (found.outcome.value, found.text) == (outcome, text)


def test_a_rate_limit_that_never_ends_is_waited_for_once(serve: Serve, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("refusal_stability.engines.http.transport.LONGEST_WAIT_S", 0.0)
    server = serve(lambda _, body: failed(429, "slow down") if body["messages"][0]["content"] == "1" else said("Fine."))
    with Store(tmp_path / "store.sqlite") as store:
        got = complete_stored(engine_at(server, max_retries=8), asked(3), store, "test")
    assert (got[1].outcome, got[1].missing_reason) == (Outcome.UNANSWERED, "HTTP 429: slow down (for 0 minutes)")
    assert len(server.bodies) == 3
