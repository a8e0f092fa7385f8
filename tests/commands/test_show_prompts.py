"""`prompts --show N` prints what each model really sees, and writes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from refusal_stability.cli import app
from refusal_stability.records import StudyError

INSERTED = "{% if messages[0].role != 'system' %}system:You are Tiny.\n{% endif %}"
TURNS = INSERTED + "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}assistant:"
REJECTS = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TURNS


@pytest.fixture
def study(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model, "tiny")
    Path("tiny/chat_template.jinja").write_text(TURNS, encoding="utf-8")
    Path("p.jsonl").write_text('{"prompt": ["Hello.", "[b]Why?[/b]"]}\n{"prompt": "How?"}\n', encoding="utf-8")
    server = {"engine": "openai", "path": "x", "settings": {"api_key_env": "NO_SUCH_KEY"}}
    params = {
        "study": "shown",
        "prompts": {"source": "table", "path": "p.jsonl"},
        "interventions": {"none": {}, "careful": {"system": "Decline harm."}},
        "models": {"tiny": {"path": "tiny"}, "server": server},
    }
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return tmp_path


def show(count: int) -> str:
    result = CliRunner().invoke(app, ["prompts", "--show", str(count)])
    assert result.exception is None, result.exception
    return result.output


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_rendered_prompts_are_printed_with_the_default_system_prompt_and_nothing_is_written(study: Path) -> None:
    before = files(study)
    printed = show(1)
    assert files(study) == before
    assert "system:You are Tiny.\nuser:Hello.\nuser:[b]Why?[/b]\nassistant:\n" in printed
    assert "system:Decline harm.\nuser:Hello.\nuser:[b]Why?[/b]\nassistant:\n" in printed
    assert "How?" not in printed
    for title in ("tiny, intervention none, prompt 1", "tiny, intervention careful, prompt 1", "server, intervention"):
        assert title in printed
    assert "user:How?" in show(2)


def test_a_servers_prompts_are_shown_as_messages(study: Path) -> None:
    printed = show(1)
    assert "(the messages as they are sent; the server's own chat template is not known here)" in printed
    assert "[system]\nDecline harm.\n[user]\nHello.\n[user]\n[b]Why?[/b]\n" in printed


def test_what_the_template_rejects_is_said(study: Path) -> None:
    Path("tiny/chat_template.jinja").write_text(REJECTS, encoding="utf-8")
    printed = show(1)
    assert "(not asked: the chat template rejects the roles system, user, user (System role not supported)" in printed
    params = yaml.safe_load(Path("params.yaml").read_text())
    for model in params["models"].values():
        model.setdefault("settings", {})["fold_system"] = True
    Path("params.yaml").write_text(yaml.safe_dump(params))
    printed = show(1)
    assert "user:Decline harm.\n\nHello.\nuser:[b]Why?[/b]\nassistant:" in printed
    assert "[user]\nDecline harm.\n\nHello.\n[user]\n" in printed


def test_an_engine_that_cannot_be_opened_does_not_hide_the_others(study: Path) -> None:
    shutil.rmtree("tiny")
    assert "(the messages as they are sent; the engine cannot be opened: " in show(1)


def test_no_prompt_to_show_is_an_error(study: Path) -> None:
    result = CliRunner().invoke(app, ["prompts", "--show", "0"])
    assert isinstance(result.exception, StudyError)
