"""What a list of requests would take, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_stability.engines.forecast import Forecast, forecast, prompt_tokens
from refusal_stability.engines.store import Store, completion_key
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Request, Sampling, canonical_json

IDENTITY = {"engine": "openai", "model": "m"}


def requests(count: int) -> list[Request]:
    return [Request((Message("user", "x" * 40),), Sampling(1.0, s, s, max_tokens=100)) for s in range(count)]


def test_what_is_stored_is_not_sent_and_equal_requests_are_sent_once(tmp_path: Path) -> None:
    asked = requests(10)
    with Store(tmp_path / "store.sqlite") as store:
        for request in asked[:4]:
            store.put(completion_key(canonical_json(IDENTITY), request), Completion("text", "stop"))
    # Six to send: 40 bytes are 10 tokens, 8 for the template, 100 for the answer.
    expected = Forecast(requests=10, stored=4, prompt_tokens=6 * 18, answer_tokens=600)
    assert forecast(IDENTITY, asked + asked, tmp_path / "store.sqlite", OpenAISettings()) == expected
    assert expected.to_send == 6


def test_no_store_is_no_completion_and_none_is_made(tmp_path: Path) -> None:
    assert forecast(IDENTITY, requests(3), tmp_path / "store.sqlite", OpenAISettings()).stored == 0
    assert list(tmp_path.iterdir()) == []


def test_tokens_are_told_from_bytes_rounded_up() -> None:
    # 5 bytes -> 2 tokens, "é" is 2 bytes -> 1 token, two messages 16.
    messages = (Message("system", "abc"), Message("user", "é"))
    assert prompt_tokens(Request(messages, Sampling(0.0, 1, 1)), OpenAISettings()) == 2 + 16


def test_cost_is_tokens_times_prices_per_million() -> None:
    found = Forecast(requests=10, stored=0, prompt_tokens=2_000_000, answer_tokens=500_000)
    # 2 million at 0.15 and half a million at 0.60.
    assert found.cost(OpenAISettings(price_in=0.15, price_out=0.60)) == pytest.approx(0.60)
    assert found.cost(OpenAISettings(price_in=0.15)) is None


def test_caps_that_would_be_passed_are_named() -> None:
    found = Forecast(requests=10, stored=4, prompt_tokens=100, answer_tokens=600)
    assert found.beyond(OpenAISettings()) == []
    assert found.beyond(OpenAISettings(max_requests=6, max_total_tokens=700)) == []
    assert found.beyond(OpenAISettings(max_requests=5, max_total_tokens=699)) == ["max_requests", "max_total_tokens"]
