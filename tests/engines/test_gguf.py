"""GGUF files: unpacked once, exactly, by content, and never by halves."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from refusal_stability.engines import gguf as unpacking
from refusal_stability.engines.gguf import gguf_digest, unpacked_folder, unpacked_model
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.transformers import TransformersEngine
from refusal_stability.engines.vllm import VLLMEngine
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.transformers import TransformersSettings
from refusal_stability.params.engines.vllm import VLLMSettings
from refusal_stability.records import Message, Request, Sampling, sampler_stream

FILES = Path(__file__).with_name("gguf_files.py")
CHAT = (Message("user", "How do kites fly?"),)


@pytest.fixture(scope="session")
def write_gguf() -> Callable[..., None]:
    spec = importlib.util.spec_from_file_location("gguf_files", FILES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., None] = module.write_gguf
    return function


@pytest.fixture
def file(write_gguf: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small GGUF file, seen from a project folder without any unpacked model."""
    write_gguf(tmp_path / "small.gguf")
    monkeypatch.chdir(tmp_path)
    return Path("small.gguf")


def opened(path: Path, **settings: Any) -> TransformersEngine:
    return TransformersEngine(ModelParams(path=str(path)), TransformersSettings(**{"device": "cpu"} | settings))


def answers(engine: TransformersEngine) -> list[str]:
    requests = [
        Request(CHAT, Sampling(temperature, seed, sampler_stream(CHAT, temperature, seed), max_tokens=12))
        for temperature in (0.0, 1.0)
        for seed in (1, 2)
    ]
    done = dict(engine.complete(requests))
    return [done[i].text for i in range(len(requests))]


@pytest.mark.parametrize(
    ("architecture", "kind", "tied"), [("llama", "Q4_1", True), ("llama", "Q8_0", False), ("qwen2", "Q4_1", False)]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_unpacked_model_computes_what_the_file_does(
    architecture: str,
    kind: str,
    tied: bool,
    dtype: str,
    write_gguf: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import transformers

    monkeypatch.chdir(tmp_path)
    write_gguf(tmp_path / "model.gguf", architecture, kind, tied)
    folder = unpacked_model(ModelParams(path="model.gguf"), dtype).folder
    chosen: Any = getattr(torch, dtype)
    direct: Any = transformers.AutoModelForCausalLM.from_pretrained(".", gguf_file="model.gguf", dtype=chosen)
    again: Any = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokens = torch.arange(40)[None]
    with torch.inference_mode():
        logits, expected = again(tokens).logits, direct(tokens).logits
    assert logits.dtype == chosen
    assert torch.equal(logits, expected)
    assert float(expected.float().std()) > 0.1
    theirs: Any = transformers.AutoTokenizer.from_pretrained(".", gguf_file="model.gguf")
    ours: Any = transformers.AutoTokenizer.from_pretrained(folder)
    text = "the <end> of it: naïve 🙂\n"
    assert ours(text)["input_ids"] == theirs(text)["input_ids"]
    assert ours.chat_template == theirs.chat_template
    assert again.generation_config.eos_token_id == 1


def test_a_model_is_known_by_its_content_and_unpacked_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = opened(file)
    texts = answers(first)
    assert "unpacking into models/unpacked/" in capsys.readouterr().err
    Path("elsewhere").mkdir()
    moved = file.rename("elsewhere/another-name.GGUF")
    second = opened(moved)
    assert second.identity == first.identity
    assert second.identity["model"] == {"sha256": gguf_digest(moved)}
    assert answers(second) == texts
    assert len(set(texts)) > 1
    assert capsys.readouterr().err == ""


def test_files_beside_it_and_their_names_change_nothing(file: Path, tmp_path: Path) -> None:
    expected = opened(file).rendered(CHAT)
    shutil.rmtree("models")
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "other", "tokenizer_class": "GPT2Tokenizer"}')
    (tmp_path / "config.json").write_text("{}")
    assert opened(file).rendered(CHAT) == expected == "<user>How do kites fly?\n<assistant>"


def test_nothing_connects_to_anywhere(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*address: object) -> None:
        raise AssertionError(f"a connection: {address}")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert answers(opened(file))
    assert answers(opened(file))


def test_auto_is_float32_and_another_dtype_has_its_own_folder(file: Path) -> None:
    assert opened(file).identity["dtype"] == "float32"
    half = opened(file, dtype="bfloat16")
    assert half.identity["dtype"] == "bfloat16"
    folders = {folder.name for folder in Path("models/unpacked").glob("[!.]*")}
    assert folders == {unpacked_folder(gguf_digest(file), dtype).name for dtype in ("float32", "bfloat16")}


def test_another_version_of_transformers_unpacks_anew(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = unpacked_model(ModelParams(path=str(file)), "float32").folder
    record = folder / unpacking.RECORD
    record.write_text(record.read_text().replace('"transformers": "', '"transformers": "0.'))
    (folder / "stray").touch()
    capsys.readouterr()
    unpacked_model(ModelParams(path=str(file)), "float32")
    assert "unpacking" in capsys.readouterr().err
    assert not (folder / "stray").exists()


def test_a_kill_leaves_no_half_folder(file: Path) -> None:
    code = (
        "import os, sys; from refusal_stability.engines import gguf\n"
        "from refusal_stability.params.engines import ModelParams\n"
        "gguf.write_json = lambda *_: os.kill(os.getpid(), 9)\n"
        "gguf.unpacked_model(ModelParams(path=sys.argv[1]), 'float32')"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    folder = unpacked_folder(gguf_digest(file), "float32")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    assert (unfinished / "model.safetensors").is_file()
    assert not folder.exists()
    assert answers(opened(file))
    assert not unfinished.exists()


class Heard(io.StringIO):
    """Standard error that says when the word came."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word, self.came = word, threading.Event()

    def write(self, text: str) -> int:
        if self.word in text:
            self.came.set()
        return super().write(text)


def test_of_two_at_once_one_unpacks_and_the_other_waits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go_on, unpack, times = threading.Event(), threading.Event(), unpacking._unpack, []

    def slow(*arguments: Any) -> None:
        times.append(1)
        entered.set()
        assert go_on.wait(300)
        unpack(*arguments)

    said = Heard("waiting")
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(unpacking, "_unpack", slow)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(unpacked_model(ModelParams(path=str(file)), "float32").folder))
        for _ in range(2)
    ]
    threads[0].start()
    assert entered.wait(300)
    threads[1].start()
    assert said.came.wait(300)
    go_on.set()
    for thread in threads:
        thread.join(300)
    assert found == [unpacked_folder(gguf_digest(file), "float32")] * 2
    assert len(times) == 1


@pytest.mark.parametrize("kept", [0, 10, 500, 5000, 20000, 55000, -1])
def test_a_file_cut_short_says_so_in_one_line_and_leaves_nothing(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(
        EngineError, match=r"'small.gguf': transformers cannot read this GGUF file: .*cut short"
    ) as caught:
        opened(file)
    assert "\n" not in str(caught.value)
    assert "/tmp" not in str(caught.value)
    assert not list(Path("models/unpacked").glob("*float32"))


def test_a_file_without_some_of_the_tensors_is_refused(write_gguf: Callable[..., None], file: Path) -> None:
    write_gguf(file, without=["blk.1.ffn_up.weight"])
    with pytest.raises(
        EngineError, match=r"it lacks 1 of the model's tensors, such as model.layers.1.mlp.up_proj.weight"
    ):
        opened(file)


def test_an_unknown_architecture_names_the_way_by_a_server(write_gguf: Callable[..., None], file: Path) -> None:
    write_gguf(file, architecture="novel")
    with pytest.raises(EngineError, match=r"architecture novel is not supported yet; serve it with llama.cpp"):
        opened(file)


def test_no_such_file_and_no_file_at_all(file: Path) -> None:
    with pytest.raises(EngineError, match=r"'absent.gguf': no such file; `make setup` fetches the quickstart's model"):
        opened(Path("absent.gguf"))
    Path("folder.gguf").mkdir()
    os.mkfifo("pipe.gguf")
    Path("endless.gguf").symlink_to("/dev/zero")
    for name in ("folder.gguf", "pipe.gguf", "endless.gguf"):
        with pytest.raises(EngineError, match=f"'{name}': is no regular file; correct the path"):
            opened(Path(name))


def test_another_file_than_the_pinned_one_is_refused(file: Path) -> None:
    sha256 = gguf_digest(file)
    pinned = ModelParams(path=str(file), sha256=sha256)
    assert unpacked_model(pinned, "float32").sha256 == sha256
    with file.open("ab") as end:
        end.write(b"x")
    with pytest.raises(EngineError, match=f"its SHA-256 is {gguf_digest(file)}, and the study pins {sha256}"):
        unpacked_model(pinned, "float32")


@pytest.mark.parametrize(
    "model", [{"path": "folder"}, {"path": "served.gguf", "engine": "openai"}, {"path": "x.gguf", "engine": "vllm"}]
)
def test_only_a_file_can_be_pinned(model: dict[str, str]) -> None:
    with pytest.raises(ParamsError, match=r"sha256"):
        parsed(ModelParams, model | {"sha256": "0" * 64})
    with pytest.raises(ParamsError, match=r"sha256"):
        parsed(ModelParams, {"path": "x.gguf", "sha256": "abc"})


@pytest.mark.parametrize("name", unpacking.NEEDED)
def test_without_a_package_it_says_which(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(unpacking.importlib.util, "find_spec", lambda asked: None if asked == name else find(asked))
    with pytest.raises(EngineError, match=f"needs the package {name}, which is not installed; run `make setup`"):
        opened(file)


def test_a_folder_that_cannot_be_written_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpacking, "write_json", full)
    with pytest.raises(EngineError, match=r"models/unpacked/.*could not be written.*No space left.*free some space"):
        opened(file)
    assert not list(Path("models/unpacked").glob("*float32*/"))


def test_vllm_refuses_it_and_names_the_folder(file: Path) -> None:
    folder = unpacked_folder(gguf_digest(file), "float32")
    with pytest.raises(EngineError, match=f"models.small.path: 'small.gguf': .*{folder}, then set path to that folder"):
        VLLMEngine(ModelParams(engine="vllm", path=str(file)), VLLMSettings(), "models.small")
