"""What a server's error means: bodies as vendors send them, under every status that they come with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.engines.finish_reasons import ENDINGS, NAMES, Ending, ending_of
from refusal_stability.engines.http.error_names import MEANINGS, Meaning
from refusal_stability.engines.http.errors import ServerError, read_error


def error(status: int, body: Any, **headers: str) -> ServerError | None:
    raw = body if isinstance(body, str) else json.dumps(body)
    return read_error(status, headers, None if isinstance(body, str) else body, raw)


def openai(message: str, code: Any = None, kind: str = "invalid_request_error", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code} | more}


def anthropic(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def gemini(message: str, code: int, status: str, *details: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


QUOTA = "You exceeded your current quota, please check your plan and billing details."
ACCOUNT: list[tuple[int, Any]] = [
    (429, openai(QUOTA, "insufficient_quota", "insufficient_quota")),
    (400, openai("Billing hard limit has been reached", "billing_hard_limit_reached")),
    (429, openai("Your account is not active, please check your billing details", "billing_not_active")),
    (401, openai("Incorrect API key provided: sk-x", "invalid_api_key")),
    (402, openai("Insufficient Balance", "invalid_request_error", "unknown_error")),
    (200, openai("Insufficient credits. Add more using the page of your account", 402)),
    (200, {"choices": None, "error": {"message": "Insufficient credits", "code": 402}}),
    (402, openai("This request requires more credits, or fewer max_tokens. You can only afford 12.", 402)),
    (403, openai("Key limit exceeded (total limit)", 403)),
    (400, anthropic("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing")),
    (401, anthropic("invalid x-api-key", "authentication_error")),
    (403, anthropic("This organization has been disabled.", "permission_error")),
    (400, anthropic("This organization has been disabled.")),
    (429, anthropic("You have reached your specified API usage limits. monthly spend limit", "rate_limit_error")),
    (400, gemini("API key expired. Please renew the API key.", 400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"})),
    (400, gemini("API key not valid. Please pass a valid API key.", 400, "INVALID_ARGUMENT")),
    (403, gemini("Your API key was reported as leaked.", 403, "PERMISSION_DENIED")),
    (403, gemini("Billing is disabled", 403, "PERMISSION_DENIED", {"reason": "BILLING_DISABLED"})),
    (429, gemini(QUOTA, 429, "RESOURCE_EXHAUSTED", {"quotaId": "GenerateRequestsPerDayPerProject"})),
    (401, {"message": "Unauthorized"}),
    (401, {"detail": "Invalid API key"}),
    (400, openai("Organization has been restricted", "organization_restricted")),
    (500, openai("Insufficient account balance", None)),
    (200, {"choices": [{"error": {"code": 402, "message": "Payment required"}, "message": {"content": ""}}]}),
    (403, openai("Access denied, your account is overdue", "AccessDenied")),
    (400, openai("Access denied, please make sure your account is in good standing.", "Arrearage")),
    (401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key or wrong endpoint."}}),
    (402, "Payment Required"),
    (400, anthropic("You have reached your specified API usage limits. You will regain access on 2026-12-01.")),
    (400, openai("You have exceeded your monthly API spending limit")),
    (403, openai("Your request was blocked.", None)),
    (403, openai("Your request has been blocked by our content firewall", None)),
    (403, "<html><h1>Sorry, you have been blocked</h1>Your request was blocked by a security policy</html>"),
    (403, openai("Your account has violated our usage policies", None)),
    (400, openai("Your account has been flagged for violating our usage policies", None)),
    (403, openai("Access denied by content policy", None)),
    (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}, "choices": None}),
    (200, {"error": json.dumps({"error": {"code": 402, "message": "Payment needed"}})}),
    (400, openai("Error code: 429 - {'error': {'message': 'x', 'code': 'insufficient_quota'}}")),
    (400, openai("Provider returned error", 400, metadata={"raw": json.dumps(openai("x", "insufficient_quota"))})),
    (429, {"message": "Inactive subscription or usage limit reached"}),
    (400, openai("Credit limit exceeded, please navigate to the billing page to add credit")),
    (200, {"error": {"message": "inference prohibited, please enter a payment method"}}),
    (400, {"error": "Your balance is too low"}),
    (429, {"error": "You have exceeded your monthly included credits for Inference Providers."}),
    (400, {"error": {"message": "该令牌额度已用尽", "type": "one_api_error"}}),
    (400, openai("Your API key has been deactivated")),
    (400, openai("You do not have enough credits to complete this request")),
    (429, gemini("Your prepayment credits are depleted.", 429, "RESOURCE_EXHAUSTED")),
    (200, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}),
    (429, openai("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 a day", 429)),
    (429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month."}),
    (429, {"message": "Too many tokens per day, please wait before trying again."}),
]
TOO_LONG: list[tuple[int, Any]] = [
    (400, openai("This model's maximum context length is 8192 tokens.", "context_length_exceeded")),
    (400, openai("Invalid 'messages[0].content': string too long.", "string_above_max_length")),
    (400, {"object": "error", "message": "This model's maximum context length is 64 tokens", "code": 400}),
    (
        400,
        openai("The decoder prompt (length 90) is longer than the maximum model length of 64", 400, "BadRequestError"),
    ),
    (400, openai("request (94 tokens) exceeds the available context size", 400, "exceed_context_size_error")),
    (500, openai("the request exceeds the available context size. try increasing it", 500, "server_error")),
    (400, {"error": "input length exceeds maximum context length"}),
    (500, {"error": "prompt too long; exceeded max context length by 12 tokens"}),
    (400, anthropic("prompt is too long: 210000 tokens > 200000 maximum")),
    (413, anthropic("Request exceeds the maximum size", "request_too_large")),
    (400, gemini("The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).", 400, "X")),
    (
        400,
        {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context"},
    ),
    (400, openai("Please reduce the length of the messages or completion.", "context_length_exceeded")),
    (
        413,
        openai("Request too large for model on tokens per minute (TPM): Limit 6000", "rate_limit_exceeded", "tokens"),
    ),
    (429, openai("Request too large for gpt-4 on tokens per min (TPM): Limit 10000", "rate_limit_exceeded", "tokens")),
    (400, openai("This endpoint's maximum context length is 4096 tokens.", 400)),
    (200, openai("This endpoint's maximum context length is 4096 tokens.", 400)),
    (
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
            "error_type": "validation",
        },
    ),
    (413, "Payload Too Large"),
    (400, openai("System role not supported", 400)),
    (400, anthropic("messages: text content blocks must be non-empty")),
    (400, openai("Conversation roles must alternate user/assistant", 400, "BadRequestError")),
    (400, openai("Invalid prompt: unsupported role", "invalid_prompt")),
    (400, openai("Your request is too long", None)),
    (503, openai("maximum context length is 16 tokens; the request timed out", None)),
    (500, openai("input is too large to process. increase the physical batch size", 500, "server_error")),
    (500, openai("Jinja Exception: System role not supported", 500, "server_error")),
    (400, openai("Only user and assistant roles are supported!", 400)),
    (400, {"error": {"message": "Range of input length should be [1, 30720]", "code": "invalid_parameter_error"}}),
    (422, {"detail": "Prompt length 9000 is greater than max_seq_len 8192"}),
    (200, {"base_resp": {"status_code": 2013, "status_msg": "context window exceeds limit"}}),
    (500, openai("litellm.ContextWindowExceededError: too long", None)),
]
AZURE = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}},
}
BLOCKED: list[tuple[int, Any]] = [
    (400, {"error": AZURE}),
    (
        400,
        openai("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", "invalid_prompt"),
    ),
    (400, openai("Your request was rejected as a result of our safety system.", "content_policy_violation")),
    (403, openai("Your chosen model requires moderation and your input was flagged", 403, metadata={"reasons": ["x"]})),
    (200, {"choices": None, "error": {"message": "Your input was flagged by moderation", "code": 403}}),
    (200, {"choices": [], "error": {"message": "PROHIBITED_CONTENT", "code": 502}}),
    (400, anthropic("Output blocked by content filtering policy")),
    (400, openai("Input data may contain inappropriate content.", "data_inspection_failed")),
    (400, openai("The request was rejected because it was considered high risk", "content_filter")),
    (400, openai("Content Exists Risk: the prompt was blocked by moderation", None)),
    (200, {"choices": [{"error": {"code": "content_filter", "message": "filtered"}}]}),
    (400, openai("Provider returned error", 400, metadata={"raw": json.dumps({"error": {"code": "content_filter"}})})),
    (200, {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}, "choices": None}),
    (200, {"error_code": 336104, "error_msg": "the content of prompt contains sensitive words"}),
]
RATE = "Rate limit reached on tokens per min. Please try again in 2.5s. Visit account/billing to add a payment method."
WOULD_EXCEED = "This request would exceed your organization's rate limit of 40,000 input tokens per minute"
BUSY: list[tuple[int, Any]] = [
    (429, openai(RATE, "rate_limit_exceeded", "tokens")),
    (429, anthropic(WOULD_EXCEED, "rate_limit_error")),
    (429, gemini(QUOTA + " Please retry in 34.07s.", 429, "RESOURCE_EXHAUSTED", {"retryDelay": "34s"})),
    (429, "Too Many Requests"),
    (429, openai("You have exceeded your requests per minute usage limit", None)),
    (200, openai("Rate limit exceeded: free-models-per-min", 429)),
    (429, {"message": "Requests rate limit exceeded"}),
    (400, {"message": "Too many requests, please wait before trying again."}),
    (200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit, retry later"}}),
    (429, {"message": "You are using a Trial key, which is limited to 10 API calls / minute."}),
    (429, openai("Rate limit reached on tokens per day (TPD). Please try again in 14m24s.")),
]
PASSING: list[tuple[int, Any]] = [
    (529, anthropic("Overloaded", "overloaded_error")),
    (500, openai("The server had an error while processing your request", None, "server_error")),
    (503, gemini("The model is overloaded. Please try again later.", 503, "UNAVAILABLE")),
    (200, openai("Provider returned error", 502)),
    (200, {"choices": [{"error": {"code": 502, "message": "Upstream error"}, "message": {"content": "half"}}]}),
    (200, openai("Something went wrong", None, "unknown")),
    (500, {"error": "context deadline exceeded"}),
    (504, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
    (504, openai("Request deadline exceeded", None, "timeout_error")),
    (400, openai("Request deadline exceeded", None, "timeout_error")),
    (400, openai("The request exceeded the time limit: deadline passed", None)),
    (503, openai("Request queue is too long", None)),
    (503, openai("requests exceeded capacity", None)),
    (400, openai("requests exceeded capacity", None)),
    (408, openai("The request took longer than 60 s", None)),
    (400, openai("The request took longer than 60 s", None)),
    (500, openai("Your request exceeded the allowed time", None)),
    (502, "<html>Bad gateway</html>"),
    (408, openai("Your request timed out", 408)),
    (500, openai("moderation service unavailable", None, "server_error")),
    (424, {"message": "Model failed dependency"}),
    (400, openai("server is busy, please try again later")),
]
SETUP: list[tuple[int, Any]] = [
    (404, openai("The model `x` does not exist or you do not have access to it.", "model_not_found")),
    (404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}}),
    (404, {"error": "model 'x' not found"}),
    (400, openai("The model does not exist", None)),
    (404, anthropic("model: claude-x", "not_found_error")),
    (307, ""),
    (400, {"message": "x is not a valid model ID"}),
    (400, openai("The provided model identifier is invalid.")),
]
UNKNOWN: list[tuple[int, Any]] = [
    (400, openai("Unrecognized request argument supplied: top_k", None)),
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
    (400, openai("Unrecognized request argument supplied: timeout", None)),
    (400, "<html>Your request was blocked by our security policy</html>"),
]
EVERY = [
    (meaning, status, body)
    for meaning, cases in (
        (Meaning.ACCOUNT, ACCOUNT),
        (Meaning.INVALID, TOO_LONG),
        (Meaning.BLOCKED, BLOCKED),
        (Meaning.BUSY, BUSY),
        (Meaning.PASSING, PASSING),
        (Meaning.SETUP, SETUP),
        (None, UNKNOWN),
    )
    for status, body in cases
]


@pytest.mark.parametrize(("meaning", "status", "body"), EVERY)
def test_whom_an_error_concerns(meaning: Meaning | None, status: int, body: Any) -> None:
    found = error(status, body)
    assert found is not None
    assert found.meaning is meaning


def test_json_that_could_not_be_made_is_told_from_a_rejected_request() -> None:
    failed = openai("Failed to generate JSON. Please adjust your prompt.", "json_validate_failed")
    found = error(400, failed)
    assert found is not None
    assert found.meaning is Meaning.NOT_JSON


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "error": None},
        {"choices": [{"message": {"content": "x"}}], "message": None},
        {"content": [{"type": "text", "text": "x"}], "type": "message"},
        {"choices": []},
    ],
)
def test_an_answer_is_no_error(body: Any) -> None:
    assert error(200, body) is None


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"Retry-After": "7"}, "x", 7.0),
        ({}, "Please try again in 2.5s.", 2.5),
        ({}, "Please try again in 350ms.", 0.35),
        ({}, "Please try again in 6m5s.", 365.0),
        ({}, "Please retry in 34.07s.", 34.07),
        ({}, "Please try again later.", None),
        ({}, "Please wait 26430 seconds before retrying.", 26430.0),
        ({}, "Please try again in 1h2m3s.", 3723.0),
        ({}, "Retry after about 2 minutes", 120.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], message: str, seconds: float | None) -> None:
    found = error(429, openai(message), **headers)
    assert found is not None
    assert found.wait == (None if seconds is None else pytest.approx(seconds))


def test_a_field_says_how_long_to_wait() -> None:
    found = error(429, gemini("x", 429, "RESOURCE_EXHAUSTED", {"retryDelay": "34s"}))
    assert found is not None
    assert found.wait == 34


def test_a_message_is_one_short_line_with_the_places_of_rejected_fields() -> None:
    found = error(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra\ninputs " * 99}]})
    assert found is not None
    assert str(found).startswith("HTTP 422: body.seed (extra_forbidden): Extra inputs")
    assert len(str(found)) < 230


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "choices", "detail", "type", "metadata"]), inner)
    ),
    max_leaves=12,
)


@given(st.sampled_from([200, 302, 400, 403, 429, 500]), JSON)
def test_no_body_raises(status: int, body: Any) -> None:
    found = read_error(status, {}, body, json.dumps(body))
    assert (found is not None) or status == 200


def test_every_finish_reason_means_one_thing_in_any_spelling() -> None:
    assert sum(len(names.split()) for names in NAMES.values()) == len(ENDINGS)
    for name, ending in ENDINGS.items():
        assert ending_of(name.upper()) is ending
        assert ending_of(name.replace("_", "-")) is ending
    assert ending_of("FINISH_REASON_SAFETY") is Ending.FILTER
    assert ending_of({"type": "stop", "matched": 2}) is Ending.STOP
    assert [ending_of(reason) for reason in (None, "", "never seen", 7, [])] == [None] * 5


def test_every_error_name_means_one_thing() -> None:
    from refusal_stability.engines.http.error_names import NAMES as ERRORS

    assert sum(len(names.split()) for names in ERRORS.values()) == len(MEANINGS)


@pytest.mark.parametrize("words", ["request ( ", "account ", "{", "'code': "])
def test_an_error_that_repeats_a_long_prompt_is_read_at_both_ends(words: str) -> None:
    found = error(400, openai(words * 100_000 + " Your credit balance is too low"))
    assert found is not None
    assert found.meaning is Meaning.ACCOUNT
