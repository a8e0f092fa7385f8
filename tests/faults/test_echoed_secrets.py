"""A key that a server repeats in any form is nowhere in a study; a word that only looks like one is left."""

from __future__ import annotations

import echoed_secrets
import pytest
from echoed_secrets import KEY

from refusal_stability.engines.http.secrets import SHORTEST_IN_ANSWERS, SHOWN_AS, Secrets
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines.openai import OpenAISettings


def test_no_form_of_a_key_is_left() -> None:
    counts = echoed_secrets.run()
    assert counts["shown"] == 0
    assert counts["cut out"] >= 40


@pytest.mark.parametrize("key", ["EMPTY", "ollama", "none", "sk-short"])
def test_an_answer_keeps_words_that_are_a_short_key(key: str) -> None:
    secrets = Secrets(SHORTEST_IN_ANSWERS)
    secrets.add(key)
    assert secrets.cut_from(f"There is {key} here, and 100% of it") == f"There is {key} here, and 100% of it"


KEYED = ("h.example/v1?api_key=abcdefgh1234", "h.example/v1#sk-abcdefgh1234", "sk-abcdefgh1234@h.example/v1",
         "h.example/sk-proj-abcdefgh1234/v1", "h.example/v1?sk-proj-abcdefgh1234")  # fmt: skip


@pytest.mark.parametrize("url", [f"http://{rest}" for rest in KEYED])
def test_an_address_with_a_key_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ParamsError, match=r"base_url: \(not shown\).*settings\.query, as \{env: NAME\}") as refused:
        parsed(OpenAISettings, {"base_url": url}, "models.m.settings")
    assert "abcdefgh1234" not in str(refused.value)


@pytest.mark.parametrize("host", ["[zz]", "a..b", "a" * 70 + ".example", "h.example:99999"])
def test_an_address_that_there_cannot_be_is_refused(host: str) -> None:
    with pytest.raises(ParamsError, match=r"base_url.*host and port"):
        parsed(OpenAISettings, {"base_url": f"http://{host}/v1"}, "models.m.settings")


@pytest.mark.parametrize("text", ["\\" * 200_000, "%25" * 70_000, "&#0" + "0" * 200_000, "s" + " " * 200_000])
def test_a_long_run_of_one_mark_is_read_to_its_end(text: str) -> None:
    secrets = Secrets()
    secrets.add(KEY)
    assert secrets.cut_from(f"\\u0073{text}{KEY}") == f"\\u0073{text}{SHOWN_AS}"
