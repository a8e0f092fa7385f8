"""Where vLLM is not installed: the stage moves into the environment that has it, or says how to make it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.thinking_marks import MARKS
from refusal_stability.engines.thinking_tokens import marking_tokens
from refusal_stability.engines.vllm import VLLMEngine
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines import ModelParams, engine_settings
from refusal_stability.params.engines.vllm import VLLMSettings
from refusal_stability.records import Message, OtherEnvironment, Request, Sampling

absent = pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
REQUEST = Request((Message("user", "x"),), Sampling(0.0, 1, 1))


@absent
def test_without_vllm_the_error_names_the_command_that_installs_it(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = open_engine(ModelParams("vllm", str(tiny_model)), "models.m")
    with pytest.raises(EngineError, match="make vllm"):
        list(engine.complete([REQUEST]))


@absent
@pytest.mark.parametrize("name", ["vllm", "ray"])
def test_where_the_environment_exists_its_python_is_asked_for(
    name: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    python = tmp_path / ".venv-vllm/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    # Replicas begin in the environment of the stage: it starts over before there is any.
    settings = {"ray": {"wraps": "vllm"}}.get(name, {})
    engine = open_engine(ModelParams(name, str(tiny_model), settings=settings), "models.m")
    with pytest.raises(OtherEnvironment) as raised:
        list(engine.complete([REQUEST]))
    assert raised.value.python == python


@pytest.mark.parametrize(("ended", "text"), [("stop", "No."), ("length", "No.<|end|>")])
def test_the_token_that_ends_an_answer_is_no_part_of_it(tiny_model: Path, ended: str, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|end|>"]})
    engine = VLLMEngine(ModelParams("vllm", str(tiny_model)), VLLMSettings(), "models.m")
    engine._llm = SimpleNamespace(get_tokenizer=lambda: tokenizer)
    engine._marking = marking_tokens(tokenizer, MARKS)
    tokens = tokenizer.encode("No.<|end|>", add_special_tokens=False)
    answer = SimpleNamespace(finish_reason=ended, token_ids=tokens, text="No.", stop_reason=None, logprobs=None)
    completion = engine._completion(SimpleNamespace(prompt_token_ids=[1], outputs=[answer]), None)
    assert (completion.text, completion.completion_tokens) == (text, len(tokens))


def test_the_command_line_starts_over_with_the_other_python_and_the_same_arguments(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho "$@"\n')
    other.chmod(0o755)
    code = f"""
import sys
from pathlib import Path
from refusal_stability import cli
from refusal_stability.records import OtherEnvironment
def app():
    raise OtherEnvironment(Path({str(other)!r}))
cli.app = app
sys.argv = ["refusal-stability", "generate", "some-model"]
cli.main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert ran.stdout == "-m refusal_stability.cli generate some-model\n"


def test_vllms_own_argument_names_pass_through_and_ours_are_checked() -> None:
    model = ModelParams("vllm", "m", settings={"tensor_parallel_size": 2, "batch_invariant": True, "dtype": "bfloat16"})
    settings = engine_settings(model, "models.m")
    assert settings.batch_invariant is True
    assert settings.arguments == {"tensor_parallel_size": 2, "dtype": "bfloat16"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"revision": "abc"}, r"settings\.revision.*the model's own `revision`"),
        ({"trust_remote_code": True}, r"settings\.trust_remote_code.*the model's own"),
        ({"seed": 1}, r"settings\.seed.*every request has a seed of its own"),
        ({"hf_token": "hf_secret"}, r"settings\.hf_token: \(not shown\).*HF_TOKEN"),
        ({"cpu_kvcache_gib": 0}, r"settings\.cpu_kvcache_gib"),
        ({"batch_invariant": "perhaps"}, r"settings\.batch_invariant"),
    ],
)
def test_settings_that_belong_elsewhere_are_named(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        parsed(ModelParams, {"engine": "vllm", "path": "m", "settings": settings}, "models.m")
