"""What a chat template renders: its date, its arguments, and the roles that it rejects."""

from __future__ import annotations

import datetime
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from refusal_stability.engines import rendering
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.rendering import ChatTemplate, TemplateRejection
from refusal_stability.engines.transformers import TransformersEngine
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.transformers import TransformersSettings
from refusal_stability.records import Message, Request, Sampling

TURNS = "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
DATED = "Today is {{ strftime_now('%d %B %Y') }}.\n" + TURNS
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TURNS
THINKING = TURNS + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n{% endif %}"
DEFAULT_SYSTEM = "{% if messages[0].role != 'system' %}system:You are Tiny.\n{% endif %}" + TURNS
ASK = (Message("user", "Why?"),)
TOLD = (Message("system", "Be brief."), *ASK)


@pytest.fixture
def model_with(tiny_model: Path, tmp_path: Path) -> Any:
    """A function that gives the tiny model another template."""

    def make(template: str | None) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(tiny_model, folder, dirs_exist_ok=True)
        if template is None:
            (folder / "chat_template.jinja").unlink()
        else:
            (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        return folder

    return make


def engine(folder: Path, **settings: Any) -> TransformersEngine:
    return TransformersEngine(
        ModelParams(path=str(folder)), TransformersSettings(device="cpu", dtype="float32", batch_size=4, **settings)
    )


def request(messages: tuple[Message, ...]) -> Request:
    return Request(messages, Sampling(0.7, 1, 1, max_tokens=3))


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that sets the day that templates see."""
    from transformers.utils import chat_template_utils

    def set_day(day: str) -> None:
        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime.datetime:
                return datetime.datetime.fromisoformat(day)

        monkeypatch.setattr(chat_template_utils, "datetime", Clock)

    return set_day


def test_a_template_that_writes_the_date_has_another_key_each_day(model_with: Any, on: Any) -> None:
    folder = model_with(DATED)
    on("2026-01-05")
    first = engine(folder)
    on("2026-01-06")
    second = engine(folder)
    assert first.rendered(ASK) == "Today is 05 January 2026.\nuser:Why?\n"
    assert second.rendered(ASK) == "Today is 06 January 2026.\nuser:Why?\n"
    assert first.identity["template_date"] == "2026-01-05"
    assert first.identity != second.identity


def test_a_run_over_midnight_keeps_its_first_date(model_with: Any, on: Any) -> None:
    on("2026-01-05")
    opened = engine(model_with(DATED))
    before = opened.rendered(ASK)
    on("2026-01-06")
    assert opened.rendered(ASK) == before


def test_a_setting_fixes_the_date_and_the_key(model_with: Any, on: Any) -> None:
    folder = model_with(DATED)
    found = []
    for day in ("2026-01-05", "2026-01-06"):
        on(day)
        opened = engine(folder, template_date="2025-12-31")
        found.append((opened.rendered(ASK), opened.identity))
    assert found[0] == found[1]
    assert found[0][0].startswith("Today is 31 December 2025.")


def test_today_in_the_prompts_is_told_once_and_a_fixed_date_never(
    model_with: Any, on: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    on("2026-01-05")
    folder = model_with(DATED)
    opened = engine(folder)
    list(opened.complete([request(ASK)]))
    list(opened.complete([request(TOLD)]))
    told = capsys.readouterr().err
    assert told.count("warning") == 1
    assert "Set settings.template_date: '2026-01-05' to keep it" in told
    list(engine(folder, template_date="2026-01-05").complete([request(ASK)]))
    assert capsys.readouterr().err == ""


def test_a_date_that_an_argument_replaces_is_not_in_the_key(model_with: Any, on: Any) -> None:
    llama = "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    folder = model_with(llama + "Today Date: {{ date_string }}\n" + TURNS)
    on("2026-01-05")
    assert engine(folder).identity["template_date"] == "2026-01-05"
    assert engine(folder).rendered(ASK).startswith("Today Date: 05 Jan 2026")
    fixed = engine(folder, chat_template_kwargs={"date_string": "1 Feb 2025"})
    assert "template_date" not in fixed.identity
    assert fixed.rendered(ASK).startswith("Today Date: 1 Feb 2025")


def test_a_date_beside_the_default_system_prompt_only_is_in_the_key(model_with: Any, on: Any) -> None:
    on("2026-01-05")
    default = "{% if messages[0].role != 'system' %}Today is {{ strftime_now('%d %B %Y') }}.\n{% endif %}"
    assert engine(model_with(default + TURNS)).identity["template_date"] == "2026-01-05"


def test_keys_of_plain_templates_hold_neither_date_nor_arguments(tiny_model: Path) -> None:
    keys = set(engine(tiny_model).identity)
    assert keys == {"engine", "model", "dtype", "batch_size", "layout"}
    # A date that no template reads changes nothing.
    assert engine(tiny_model, template_date="2026-01-05").identity == engine(tiny_model).identity


def test_template_arguments_reach_the_template_and_the_key(model_with: Any) -> None:
    folder = model_with(THINKING)
    plain, off = engine(folder), engine(folder, chat_template_kwargs={"enable_thinking": False})
    assert plain.rendered(ASK) == "user:Why?\n"
    assert off.rendered(ASK) == "user:Why?\n<think>\n\n</think>\n"
    assert off.identity == plain.identity | {"chat_template_kwargs": {"enable_thinking": False}}


def test_a_rejected_system_prompt_costs_its_own_answers_and_not_the_controls(model_with: Any) -> None:
    answers = dict(engine(model_with(NO_SYSTEM)).complete([request(TOLD), request(ASK)]))
    assert answers[1].missing_reason is None
    assert answers[0].missing_reason == (
        "the chat template rejects the roles system, user (System role not supported); set fold_system: true in the "
        "model's settings, or drop the system prompt"
    )


def test_a_template_that_fails_in_any_way_costs_its_own_answers(model_with: Any) -> None:
    failing = "{% if messages[0].role == 'system' %}{{ messages[0].content + 1 }}{% endif %}" + TURNS
    answers = dict(engine(model_with(failing)).complete([request(TOLD), request(ASK)]))
    assert answers[1].missing_reason is None
    assert "the chat template rejects the roles system, user (can only concatenate str" in answers[0].missing_reason


def test_a_folded_system_prompt_is_asked_and_the_control_is_rendered_as_before(model_with: Any) -> None:
    opened = engine(model_with(NO_SYSTEM), fold_system=True)
    assert opened.rendered(TOLD) == "user:Be brief.\n\nWhy?\n"
    assert opened.rendered(ASK) == "user:Why?\n"
    answers = dict(opened.complete([request(TOLD), request(ASK)]))
    assert [answers[i].missing_reason for i in (0, 1)] == [None, None]


@pytest.mark.parametrize("date", ["5 January", "2026-1-5", "2026-13-01", ""])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    with pytest.raises(ValueError, match="null \\(today\\) or a date such as '2026-01-31', in quotes"):
        TransformersSettings(template_date=date)


def test_a_default_system_prompt_is_rendered(model_with: Any) -> None:
    assert engine(model_with(DEFAULT_SYSTEM)).rendered(ASK) == "system:You are Tiny.\nuser:Why?\n"


def test_without_a_template_the_model_cannot_be_asked(model_with: Any) -> None:
    with pytest.raises(EngineError, match="the tokenizer has no chat template; use an instruct model"):
        list(engine(model_with(None)).complete([request(ASK)]))


def test_a_rejection_without_a_system_prompt_does_not_advise_to_fold_one() -> None:
    from jinja2 import TemplateError

    class Strict:
        chat_template = "x"

        def apply_chat_template(self, *_: Any, **__: Any) -> str:
            raise TemplateError("Conversation roles must alternate")

    template = ChatTemplate(Strict(), TransformersSettings(), "m")
    with pytest.raises(TemplateRejection, match=r"roles user, user \(Conversation roles must alternate\); ask single"):
        template.render((*ASK, *ASK))


def test_a_template_that_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Looping:
        chat_template = "x"

        def apply_chat_template(self, *_: Any, **__: Any) -> str:
            while True:
                pass

    monkeypatch.setattr(rendering, "TEMPLATE_SECONDS", 1)
    with pytest.raises(EngineError, match="m: the chat template took over 1 s"):
        ChatTemplate(Looping(), TransformersSettings(), "m").render(ASK)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ 1 / 0 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for %}",
        "{{ '\\ud800' }}",
        "{{ 9 ** (9 ** 9) }}",
        "{% set n = namespace(x=9) %}{% for i in range(40) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "",
    ],
)
def test_a_template_that_fails_in_python_s_own_ways_costs_its_answers_alone(model_with: Any, template: str) -> None:
    ((_, answer),) = engine(model_with(template)).complete([request(ASK)])
    assert answer.missing_reason is not None
    assert "template" in answer.missing_reason


def test_what_a_template_says_when_it_rejects_is_shown_on_one_line(model_with: Any) -> None:
    ((_, answer),) = engine(model_with("{{ raise_exception('no\x1b[2J\x07\u202e') }}")).complete([request(ASK)])
    assert answer.missing_reason is not None
    assert answer.missing_reason.isprintable()
    assert "no\\x1b[2J\\x07\\u202e" in answer.missing_reason


def test_a_template_that_writes_without_measure_is_named(model_with: Any) -> None:
    with pytest.raises(EngineError, match="the chat template wrote 10,000,000 characters for one conversation"):
        list(engine(model_with("{{ 'x' * 10**7 }}")).complete([request(ASK)]))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
@pytest.mark.parametrize("template", ["{{ 'x' * 10**11 }}", "{{ '%099999999999d' % 1 }}", "{{ [0] * 10**11 }}"])
def test_a_template_that_wants_more_memory_than_there_is_is_named(model_with: Any, template: str) -> None:
    with pytest.raises(EngineError, match="the chat template asked for over 1 GiB of memory for one conversation"):
        list(engine(model_with(template)).complete([request(ASK)]))


def test_numbers_and_repetitions_of_a_template_are_as_jinja_s(model_with: Any) -> None:
    made = engine(model_with("{{ 2 ** 16 }} {{ 2.5 ** 2 }} {{ 2 ** -1 }} {{ 'ab' * 3 }} {{ 7 * 6 }}"))
    assert made.rendered(ASK) == "65536 6.25 0.5 ababab 42"
