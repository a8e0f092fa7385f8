"""`refusal-stability init`: the file it writes loads, explains itself and runs, and none is replaced unasked."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

import refusal_stability
from refusal_stability.cli import app
from refusal_stability.params.engines import engine_settings
from refusal_stability.params.load import load_params


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder with a file of prompts."""
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
    rows = "".join(f"q{i},How do kites number {i} fly?,harmful,\n" for i in range(3))
    Path("data/raw/mine.csv").write_text(f"id,question,harm,note\n{rows}")


@pytest.fixture
def url(server: Callable[..., str]) -> str:
    """The address of a server."""
    return server("--models", "small", "--in-words")


def init(*options: str) -> str:
    ran = CliRunner().invoke(app, ["init", *options])
    assert ran.exit_code == 0, ran.exception
    return ran.stdout


def refused(*options: str) -> str:
    ran = CliRunner().invoke(app, ["init", *options])
    assert ran.exit_code == 1
    return str(ran.exception)


def test_the_file_loads_explains_every_line_and_runs_through_a_server(url: str) -> None:
    said = init("--model", "small", "--base-url", url, "--prompts", "data/raw/mine.csv", "--study", "kites")
    assert "params.yaml: study kites asks small prompts of data/raw/mine.csv, 20 times each" in said
    assert all("  # " in line or line.startswith("# ") for line in Path("params.yaml").read_text().splitlines() if line)
    params = load_params()
    assert params.prompts.columns == {"prompt": "question", "id": "id", "harm": "harm"}
    assert CliRunner().invoke(app, ["plan"]).exit_code == 0
    for stage, model in (("prompts", ()), ("generate", ("small",)), ("judge", ("small",)), ("metrics", ())):
        import_module(f"refusal_stability.stages.{stage}").run(*model, Path("params.yaml"))
    assert len(Path("data/metrics/per_prompt_metrics.csv").read_text().splitlines()) == 1 + 3


def test_without_a_server_the_model_runs_here_on_the_built_in_prompts() -> None:
    init("--model", "Qwen/Qwen2.5-0.5B-Instruct")
    params = load_params()
    assert params.prompts.source == "builtin"
    (model,) = params.models.items()
    assert model[0] == "qwen2-5-0-5b-instruct"
    assert (model[1].engine, model[1].path) == ("transformers", "Qwen/Qwen2.5-0.5B-Instruct")


def test_a_vendor_is_named_by_its_preset_and_its_key_by_its_variable() -> None:
    said = init("--model", "mistral-small-latest", "--preset", "mistral")
    assert "export MISTRAL_API_KEY=..." in said
    init("--model", "m", "--base-url", "http://127.0.0.1:1/v1", "--api-key-env", "MY_KEY", "--params", "b.yaml")
    (model,) = load_params(Path("b.yaml")).models.values()
    assert engine_settings(model).api_key_env == "MY_KEY"


def test_no_file_is_replaced_unasked_and_a_replaced_one_is_kept() -> None:
    Path("params.yaml").write_text("mine")
    assert refused("--model", "m") == (
        "params.yaml: is there already; add --force to replace it (it is kept as params.previous.yaml), or name "
        "another file with --params"
    )
    assert Path("params.yaml").read_text() == "mine"
    init("--model", "m", "--force")
    assert Path("params.previous.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "init: no model is named; give --model, and --base-url or --preset if a server runs it"),
        (("--model", "m", "--preset", "nobody"), "settings.preset: 'nobody' is not a preset; one of anthropic, azure"),
        (("--model", "m", "--preset", "azure"), "the preset azure has no address of its own; give it by --base-url"),
        (("--model", "m", "--prompts", "none.csv"), "none.csv: no such file"),
        (("--model", "m", "--prompts", "data/raw/mine.csv", "--column", "x"), "no column 'x'; name the one with the"),
        (("--model", "m", "--column", "question"), "--column names a column of a file; give the file by --prompts"),
        (("--model", "m", "--api-key-env", "KEY"), "--api-key-env is for a server; name it by --base-url or --preset"),
        (("--model", " "), "init: --model is blank"),
        (("--model", "m", "--study", "My Study"), "init: study: 'My Study' is not allowed"),
        (("--model", "m", "--base-url", "127.0.0.1:80"), "base_url: (not shown) is not allowed; allowed: http(s)"),
    ],
)
def test_answers_that_cannot_be_used_are_refused_and_nothing_is_written(options: tuple[str, ...], message: str) -> None:
    assert message in refused(*options)
    assert [path.name for path in Path().iterdir()] == ["data"]


def test_columns_are_found_in_capitals_and_one_in_our_own_letters_goes_first() -> None:
    Path("data/raw/capitals.csv").write_text("Prompt,HARM,Category,category\nHow do kites fly?,benign,a,b\n")
    assert "header" not in init("--model", "m", "--prompts", "data/raw/capitals.csv")
    assert load_params().prompts.columns == {"prompt": "Prompt", "category": "category", "harm": "HARM"}


def test_the_first_line_of_a_list_without_a_header_is_said_to_be_taken_for_one() -> None:
    Path("data/raw/list.csv").write_text("How do kites fly?\nHow do boats float?\n")
    said = init("--model", "m", "--prompts", "data/raw/list.csv")
    assert "its first line, 'How do kites fly?', is taken for the header of its only column and not asked" in said
    assert "header" not in init("--model", "m", "--prompts", "data/raw/mine.csv", "--force")


@pytest.mark.parametrize("name", ["true", "42", 'a "b": {c} # d', "größe/名前🪁", "models/x y.gguf"])
def test_any_model_name_is_read_back_as_it_was_given(name: str) -> None:
    init("--model", name)
    (model,) = load_params().models.values()
    assert model.path == name


def test_on_a_terminal_a_few_answers_are_enough(url: str) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(refusal_stability.__file__).parent.parent)}
    command = [sys.executable, "-m", "refusal_stability.cli", "init"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, env=environment, text=True) as process:
        os.write(ours, f"small\n{url}\n\ndata/raw/mine.csv\n\n".encode())
        said, _ = process.communicate(timeout=300)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert "params.yaml: study mine asks small prompts of data/raw/mine.csv" in said
    (model,) = load_params().models.values()
    assert engine_settings(model).base_url == url
