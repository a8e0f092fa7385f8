"""Each preset against a loopback server that accepts only what that vendor's reference says it accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.http.presets import preset_names
from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Outcome, Request, Sampling

KEY = "sk-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
COMMON = "model messages temperature top_p stop stream n presence_penalty frequency_penalty response_format tools "
# What each chat-completions reference lists, beside the common fields.
FIELDS = {
    "openai": "seed max_completion_tokens logprobs logit_bias reasoning_effort user metadata store",
    "azure": "seed max_tokens logprobs logit_bias user data_sources",
    "gemini": "max_tokens max_completion_tokens reasoning_effort extra_body user",
    "mistral": "random_seed max_tokens safe_prompt prompt_mode prediction",
    "groq": "seed max_tokens max_completion_tokens reasoning_effort reasoning_format user service_tier",
}
OPEN = ("openrouter", "vllm", "llama.cpp", "ollama")  # These let unknown fields pass.
ANTHROPIC = "model messages max_tokens system temperature top_p top_k stop_sequences stream thinking metadata"
Answer = tuple[int, Any]
NO_TEMPERATURE: Answer = (
    400,
    {"error": {"message": "Unsupported parameter: 'temperature' is not supported with this model.", "param": None}},
)


def unknown_field(vendor: str, name: str) -> Answer:
    if vendor == "mistral":
        wrong = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": 0}
        return 422, {"object": "error", "message": {"detail": [wrong]}, "type": "invalid_request_error"}
    if vendor == "gemini":
        words = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
        return 400, [{"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}}]
    if vendor == "groq":
        return 400, {"error": {"message": f"property '{name}' is unsupported", "type": "invalid_request_error"}}
    if name == "max_tokens":
        words = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return 400, {"error": {"message": words, "param": name, "code": "unsupported_parameter"}}
    return 400, {"error": {"message": f"Unrecognized request argument supplied: {name}", "param": None, "code": None}}


def chat(vendor: str, request: web.Request, body: dict[str, Any]) -> Answer:
    """What a vendor's chat completions answer."""
    if vendor == "azure":
        if request.query.get("api-version") != "2024-10-21":
            return 404, {"error": {"code": "404", "message": "Resource not found"}}
        if request.headers.get("api-key") != KEY:
            return 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key"}}
    elif vendor in FIELDS and request.headers.get("Authorization") != f"Bearer {KEY}":
        return 401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
    if vendor not in OPEN:
        for name in body:
            if name not in (COMMON + FIELDS[vendor]).split():
                return unknown_field(vendor, name)
    text = '{"label": "REFUSE"}' if "response_format" in body else f"{body.get('seed', body.get('random_seed'))}"
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return 200, {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def messages(vendor: str, request: web.Request, body: dict[str, Any]) -> Answer:
    """What Anthropic's Messages answer."""

    def invalid(words: str) -> Answer:
        return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": words}}

    if request.headers.get("x-api-key") != KEY or "anthropic-version" not in request.headers:
        return 401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    for name in body:
        if name not in ANTHROPIC.split():
            return invalid(f"{name}: Extra inputs are not permitted")
    if "max_tokens" not in body or body["temperature"] > 1 or "top_p" in body:
        return invalid("`temperature` and `top_p` cannot both be specified for this model")
    if {turn["role"] for turn in body["messages"]} - {"user", "assistant"}:
        return invalid('messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter')
    said = [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": body.get("system", "")}]
    told = {"type": "message", "model": "m", "content": said, "stop_reason": "end_turn"}
    if "refuse" in body["messages"][-1]["content"]:
        told |= {"content": [{"type": "text", "text": "Sure, first"}], "stop_reason": "refusal"}
    return 200, told | {"usage": {"input_tokens": 3, "output_tokens": 2}}


Serve = Callable[..., Any]


def engine_at(server: Any, **settings: Any) -> HTTPEngine:
    chosen = {"base_url": f"http://127.0.0.1:{server.port}/v1", "concurrency": 4, "max_retries": 1} | settings
    return HTTPEngine(ModelParams(engine="openai", path="m"), parsed(OpenAISettings, chosen), "models.m")


def asked(count: int = 6, temperature: float = 0.7, **fields: Any) -> list[Request]:
    conversation = (Message("system", "Be brief."), Message("user", "Hello?"))
    return [Request(conversation, Sampling(temperature, n, n, max_tokens=16), **fields) for n in range(count)]


def answers(engine: HTTPEngine, requests: list[Request]) -> list[Completion]:
    return [answer for _, answer in sorted(engine.complete(requests), key=lambda pair: pair[0])]


def vendor_server(serve: Serve, vendor: str) -> Any:
    answer = messages if vendor == "anthropic" else chat
    return serve(lambda request, body: answer(vendor, request, body))


@pytest.mark.parametrize("vendor", preset_names())
def test_a_preset_asks_as_its_vendor_wants_it_from_the_first_request_on(serve: Serve, vendor: str) -> None:
    server = vendor_server(serve, vendor)
    got = answers(engine_at(server, preset=vendor), asked())
    assert [answer.missing_reason for answer in got] == [None] * 6
    assert len(server.bodies) == 6
    seeds = [body.get("seed", body.get("random_seed")) for body in server.bodies]
    if vendor in ("anthropic", "gemini"):
        assert seeds == [None] * 6
        assert all(answer.details["unseeded"] for answer in got)
    else:
        assert sorted(seeds) == list(range(6))
        assert not any("unseeded" in answer.details for answer in got)
    judged = answers(engine_at(server, preset=vendor), asked(schema=SCHEMA))
    assert [answer.missing_reason for answer in judged] == [None] * 6


@pytest.mark.parametrize("vendor", sorted(FIELDS.keys() - {"azure"}))
def test_without_a_preset_the_fields_that_a_vendor_rejects_are_left_out_or_renamed(serve: Serve, vendor: str) -> None:
    server = vendor_server(serve, vendor)
    got = answers(engine_at(server, api_key_env=f"{vendor.upper()}_API_KEY"), asked())
    assert [answer.missing_reason for answer in got] == [None] * 6
    assert len(server.bodies) <= 6 + 4


def test_a_preset_is_named_where_there_is_none(serve: Serve) -> None:
    with pytest.raises(EngineError, match="one of anthropic, azure, gemini"):
        engine_at(vendor_server(serve, "openai"), preset="nobody")


def test_llama_cpp_adds_no_sampling_of_its_own(serve: Serve) -> None:
    server = vendor_server(serve, "llama.cpp")
    answers(engine_at(server, preset="llama.cpp", extra_body={"min_p": 0.1}), asked(1))
    answers(engine_at(server, preset="llama.cpp"), asked(1))
    assert [(body["min_p"], body["repeat_penalty"]) for body in server.bodies] == [(0.1, 1.0), (0.0, 1.0)]


def test_messages_without_a_temperature_are_studied_at_1_only(serve: Serve) -> None:
    def current(request: web.Request, body: dict[str, Any]) -> Answer:
        if "temperature" in body:
            words = "temperature: Extra inputs are not permitted"
            return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
        return messages("anthropic", request, {"temperature": 1} | body)

    server = serve(current)
    got = answers(engine_at(server, preset="anthropic", concurrency=1), asked(2, temperature=1.0))
    assert [answer.missing_reason for answer in got] == [None] * 2
    with pytest.raises(EngineError, match="temperature"):
        answers(engine_at(server, preset="anthropic"), asked(1))


def test_messages_takes_system_texts_apart_and_reports_thinking_and_refusals(serve: Serve) -> None:
    server = vendor_server(serve, "anthropic")
    refused = Request((Message("user", "refuse"),), Sampling(0.0, 1, 1))
    got = answers(engine_at(server, preset="anthropic"), [*asked(1), refused])
    assert [(answer.text, answer.thinking) for answer in got] == [("Be brief.", "Hm."), ("", "")]
    assert [answer.outcome for answer in got] == [Outcome.ANSWERED, Outcome.REFUSED]
    assert got[1].missing_reason is None
    with pytest.raises(EngineError, match="temperature"):
        answers(engine_at(server, preset="anthropic"), asked(1, temperature=1.5))


def test_settings_that_shape_a_request(serve: Serve) -> None:
    server = vendor_server(serve, "vllm")
    shaping: dict[str, Any] = {
        "omit": ["top_k"],
        "rename": {"seed": "random_seed"},
        "extra_body": {"min_p": 0.1},
        "chat_template_kwargs": {"enable_thinking": False},
        "reasoning_effort": "low",
        "headers": {"x-tag": "a"},
        "query": {"v": 2},
    }
    engine = engine_at(server, **shaping)
    answers(engine, asked(1))
    body = server.bodies[0]
    assert "top_k" not in body
    assert (body["random_seed"], body["min_p"], body["reasoning_effort"]) == (0, 0.1, "low")
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert {name: engine.identity[name] for name in shaping} == shaping
    plain = engine_at(server).identity
    assert set(plain) == {"engine", "base_url", "model", "structured", "extra_body"}


def test_secrets_come_from_the_environment_and_are_in_no_message(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def echo(request: web.Request, body: dict[str, Any]) -> Answer:
        return 400, {"error": {"message": f"{request.headers.get('x-token')} {request.query_string}"}}

    server = serve(echo)
    monkeypatch.setenv("RS_TOKEN", "tok-123")
    engine = engine_at(server, headers={"x-token": {"env": "RS_TOKEN"}}, query={"code": {"env": "RS_TOKEN"}})
    with pytest.raises(EngineError) as raised:
        answers(engine, asked(1))
    assert "[key] code=[key]" in str(raised.value)
    assert "tok-123" not in str(raised.value) + json.dumps([dict(engine.identity), dict(engine.description)])
    monkeypatch.delenv("RS_TOKEN")
    with pytest.raises(EngineError, match=r"settings\.headers\.x-token: .* RS_TOKEN is not set"):
        answers(engine, asked(1))


def test_an_address_may_have_a_query_but_no_secret() -> None:
    url = "https://x.openai.azure.com/openai/deployments/gpt4o?api-version=2024-10-21"
    assert parsed(OpenAISettings, {"base_url": url}).base_url == url
    with pytest.raises(ParamsError, match=r"a secret: settings\.query"):
        parsed(OpenAISettings, {"base_url": "https://x.example/v1?api_key=abc"})
    for settings in ({"headers": {"api-key": "abc"}}, {"query": {"key": "abc"}}, {"headers": {"Authorization": "abc"}}):
        with pytest.raises(ParamsError, match=r"\(not shown\) is not allowed; allowed: \{env: NAME\}"):
            parsed(OpenAISettings, settings)


def test_a_whole_address_with_its_own_version_is_taken_as_it_is(serve: Serve) -> None:
    server = vendor_server(serve, "azure")
    url = f"http://127.0.0.1:{server.port}/openai/deployments/d/chat/completions?api-version=2024-10-21"
    got = answers(engine_at(server, preset="azure", base_url=url), asked(2))
    assert [answer.missing_reason for answer in got] == [None] * 2


def test_a_judges_temperature_gives_way_and_a_models_does_not(serve: Serve) -> None:
    def only_default(request: web.Request, body: dict[str, Any]) -> Answer:
        if body.get("temperature", 1) == 1:
            return chat("vllm", request, body)
        words = (
            "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) is supported."
        )
        return 400, {"error": {"message": words, "param": "temperature", "code": "unsupported_value"}}

    judged = answers(engine_at(serve(only_default)), asked(schema=SCHEMA))
    assert [answer.missing_reason for answer in judged] == [None] * 6
    with pytest.raises(EngineError, match="temperature"):
        answers(engine_at(serve(only_default)), asked())


@pytest.mark.parametrize("temperatures", [[1.0, 0.7, 0.0, 0.7], [1.0, 1.0, 0.0]])
def test_a_temperature_that_gave_way_once_never_does_where_it_is_measured(
    serve: Serve, temperatures: list[float]
) -> None:
    server = serve(lambda _, body: NO_TEMPERATURE if "temperature" in body else chat("vllm", _, body))
    requests = [Request((Message("user", "Hello?"),), Sampling(t, n, n)) for n, t in enumerate(temperatures)]
    got = []
    with pytest.raises(EngineError, match=r"models\.m: the server rejects the field `temperature`"):
        got.extend(position for position, _ in engine_at(server, concurrency=1).complete(requests))
    assert all(temperatures[position] == 1 for position in got)
    assert len(server.bodies) == 1 + temperatures.count(1.0)


def test_what_gave_way_for_one_request_does_not_for_another(serve: Serve) -> None:
    server = serve(
        lambda request, body: unknown_field("groq", "top_k") if "top_k" in body else chat("vllm", request, body)
    )
    cut = [Request(r.messages, Sampling(1.0, 1, 1, top_k=5)) for r in asked(1)]
    with pytest.raises(EngineError, match="rejects the field `top_k`"):
        answers(engine_at(server), [*asked(1), *cut])


@pytest.mark.parametrize("field", ["top_k", "top_p", "seed", "temperature", "max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("preset", [None, "openai"])
def test_a_field_of_extra_body_that_the_server_rejects_ends_the_run(
    serve: Serve, field: str, preset: str | None
) -> None:
    server = serve(
        lambda request, body: unknown_field("openai", field) if field in body else chat("vllm", request, body)
    )
    chosen = {"extra_body": {field: 40}, "preset": preset}
    with pytest.raises(EngineError, match=rf"rejects the first request .*{field}"):
        answers(engine_at(server, **chosen), asked(2, temperature=1.0))
    assert len(server.bodies) <= 3


def test_a_server_that_rejects_one_field_after_another_is_left_alone(serve: Serve) -> None:
    def never(request: web.Request, body: dict[str, Any]) -> Answer:
        other = "max_completion_tokens" if "max_tokens" in body else "max_tokens"
        return 400, {"error": {"message": f"Unsupported: use {other}; top_k, top_p, seed are not supported"}}

    server = serve(never)
    with pytest.raises(EngineError, match="rejects"):
        answers(engine_at(server), asked(2))
    assert len(server.bodies) <= 11


def test_a_request_is_adapted_only_so_often(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(lambda request, body: unknown_field("openai", "whatever"))
    engine = engine_at(server)
    monkeypatch.setattr(engine._fields, "adapt", lambda *_: True)
    with pytest.raises(EngineError, match=r"models\.m: the server rejects one request in 11 forms \(HTTP 400: Unrec"):
        answers(engine, asked(2))
    assert len(server.bodies) == 11


@pytest.mark.parametrize("place", ["headers", "query"])
def test_what_a_model_wrote_stays_as_it_is_whatever_the_environment_holds(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    words = "Return EMPTY if the list is empty, and not my key sk-secret-0123456789."

    def echo(request: web.Request, body: dict[str, Any]) -> Answer:
        if body["messages"][-1]["content"] == "reject":
            return 400, {"error": {"message": "EMPTY, the list"}}
        return 200, {"choices": [{"message": {"content": words}, "finish_reason": "stop"}]}

    monkeypatch.setenv("RS_ORG", "the")
    monkeypatch.setenv("RS_KEY", "EMPTY")
    engine = engine_at(serve(echo), preset="openai", **{place: {"x-a": {"env": "RS_ORG"}, "x-b": {"env": "RS_KEY"}}})
    rejected = Request((Message("user", "reject"),), Sampling(1.0, 1, 1))
    got = answers(engine, [*asked(1), rejected])
    assert got[0].text == words.replace(KEY, "[key]")
    # What is no secret, or too short to be one, is a word.
    assert got[1].missing_reason == "HTTP 400: EMPTY, the list"


@pytest.mark.parametrize(
    "name",
    [
        *("apikey", "ApiKey", "x-api-key", "key", "code", "sig", "signature", "X-Auth", "auth", "AuthToken"),
        *("x-secret", "client_secret", "password", "Proxy-Authorization", "Set-Cookie", "functionCode", "apikey2"),
        *("bearer", "session_tokens"),
    ],
)
def test_a_literal_secret_is_refused_under_every_name(name: str) -> None:
    for place in ("headers", "query"):
        with pytest.raises(ParamsError, match=r"\(not shown\) is not allowed; allowed: \{env: NAME\}"):
            parsed(OpenAISettings, {place: {name: "abc"}})
        assert parsed(OpenAISettings, {place: {name: {"env": "RS_KEY"}}})
    with pytest.raises(ParamsError, match=r"a secret: settings\.query"):
        parsed(OpenAISettings, {"base_url": f"https://x.example/v1?a=1&{name}=abc"})


@pytest.mark.parametrize("value", ["Bearer abc", "sk-abcdef", "gsk_abcdef", "Basic dTpw"])
def test_a_literal_secret_is_refused_by_its_form(value: str) -> None:
    with pytest.raises(ParamsError, match=r"\(not shown\)"):
        parsed(OpenAISettings, {"headers": {"x-custom": value}})


@pytest.mark.parametrize("name", ["anthropic-version", "api-version", "x-tag", "HTTP-Referer", "X-Title", "v"])
def test_what_is_no_secret_may_be_written_down(name: str) -> None:
    assert parsed(OpenAISettings, {"headers": {name: "2023-06-01"}, "query": {name: "1"}})


@pytest.mark.parametrize(
    "settings",
    [
        {"extra_body": {"provider": {"api_key": "a1b2c3d4e5f6a7b8c9"}}},
        {"extra_body": {"tools": [{"authorization": "a1b2c3d4e5f6a7b8c9"}]}},
        {"extra_body": {"anything": "sk-proj-0123456789abcdef"}},
        {"extra_body": {"anything": ["Bearer 0123456789"]}},
        {"chat_template_kwargs": {"secret": "hf_0123456789abcdef"}},
    ],
)
def test_a_key_in_a_body_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(
        ParamsError, match=r"\(not shown\) is not allowed; allowed: in `extra_body`, \{env: NAME\}"
    ) as found:
        parsed(OpenAISettings, settings)
    assert "0123456789" not in str(found.value) + str(found.value.key)
    assert "a1b2c3" not in str(found.value)


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": 40, "min_tokens": 2, "stop_token_ids": [1], "eos_token": "<|endoftext|>"},
        {
            "prompt_cache_key": "refusal-study",
            "adapter": "hf-internal-testing/tiny",
            "provider": {"order": ["sk-telecom"]},
        },
    ],
)
def test_what_is_no_key_may_stand_in_a_body(body: dict[str, Any]) -> None:
    assert parsed(OpenAISettings, {"extra_body": body}).extra_body == body


def test_a_secret_in_a_body_comes_from_the_environment_and_stays_out_of_identity_and_messages(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def echo(request: web.Request, body: dict[str, Any]) -> Answer:
        if body["messages"][-1]["content"] == "Hello?":
            return chat("vllm", request, body)
        return 400, {"error": {"message": f"bad provider {body['provider']}"}}

    server = serve(echo)
    monkeypatch.setenv("RS_TOKEN", "tok-0123456789")
    own = {"provider": {"auth": [{"env": "RS_TOKEN"}], "order": ["a"]}}
    engine = engine_at(server, extra_body=own)
    assert answers(engine, asked(1))[0].missing_reason is None
    assert server.bodies[0]["provider"] == {"auth": ["tok-0123456789"], "order": ["a"]}
    assert engine.identity["extra_body"] == own
    with pytest.raises(EngineError) as raised:
        answers(engine_at(server, extra_body=own), [Request((Message("user", "fail"),), Sampling(0.7, 1, 1))])
    assert "[key]" in str(raised.value)
    assert "tok-0123456789" not in str(raised.value)
    monkeypatch.delenv("RS_TOKEN")
    with pytest.raises(EngineError, match=r"settings\.extra_body\.provider\.auth\[0\]: .* RS_TOKEN is not set"):
        answers(engine_at(server, extra_body=own), asked(1))


def test_top_p_gives_way_only_where_it_is_off(serve: Serve) -> None:
    def not_both(request: web.Request, body: dict[str, Any]) -> Answer:
        if "top_p" in body and "temperature" in body:
            words = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
            return 400, {"error": {"message": words, "type": "invalid_request_error"}}
        return chat("vllm", request, body)

    server = serve(not_both)
    assert [answer.missing_reason for answer in answers(engine_at(server), asked())] == [None] * 6
    assert all("temperature" in body for body in server.bodies)
    cut = [Request(r.messages, Sampling(0.7, 1, 1, top_p=0.5)) for r in asked(1)]
    with pytest.raises(EngineError, match="top_p"):
        answers(engine_at(serve(not_both)), cut)


def test_an_answer_that_is_no_json_is_asked_for_once_more_without_response_format(serve: Serve) -> None:
    def groq(request: web.Request, body: dict[str, Any]) -> Answer:
        if "response_format" in body and body["seed"] % 2:
            return 400, {"error": {"message": "Failed to generate JSON.", "code": "json_validate_failed"}}
        return chat("vllm", request, body)

    server = serve(groq)
    got = answers(engine_at(server), asked(schema=SCHEMA))
    assert [answer.missing_reason for answer in got] == [None] * 6
    assert [answer.details["structured"] for answer in got] == ["json_schema", "prompt"] * 3
    assert len(server.bodies) == 9
