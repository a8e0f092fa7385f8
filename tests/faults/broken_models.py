"""Models that are broken in every way: an error in one line, or answers that are missing with a reason.

Run as a script it opens each model in a process of its own, so that one that hangs or takes all memory costs itself.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tiny_chat_model import save_tiny_model

BAD = {"traceback", "silent", "too long", "killed", "ran code"}
LONGEST_S, MOST_BYTES = 60, 12 << 30
Change = Callable[[Path], object]
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
# Broken, and yet each answer is what the files say.
MAY_ANSWER = "may answer: "


def _merged(name: str, **values: object) -> Change:
    def change(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | values))

    return change


def _written(name: str, data: bytes) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(data)

    return change


def _replaced(name: str, make: Callable[[Path], object]) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def _tensors(change_one: Callable[[Any], None], names: str = "") -> Change:
    def change(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / WEIGHTS)
        for name, tensor in tensors.items():
            if names in name:
                change_one(tensor)
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})

    return change


def _header(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + bytes(64)


def _vocabulary(edit: Callable[[dict[str, int]], None]) -> Change:
    def change(folder: Path) -> None:
        found = json.loads((folder / TOKENIZER).read_text())
        edit(found["model"]["vocab"])
        (folder / TOKENIZER).write_text(json.dumps(found))

    return change


def _pickled(folder: Path) -> None:
    import pickle

    class Harm:
        def __reduce__(self) -> Any:
            return Path.touch, (folder / "ran",)

    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harm()))


def _own_code(folder: Path) -> None:
    (folder / "mine.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    names = {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M", "AutoTokenizer": ["mine.T", None]}
    _merged(CONFIG, model_type="mine", auto_map=names)(folder)
    _merged("tokenizer_config.json", tokenizer_class="T", auto_map=names)(folder)


def _index(weight_map: object) -> Change:
    def change(folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / "part.safetensors")
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))

    return change


def changes() -> dict[str, Change]:
    """Every way to break the tiny model, by its name."""
    made: dict[str, Change] = {}
    numbers = {"NaN": float("nan"), "infinity": float("inf"), "minus infinity": float("-inf"), "1e38": 1e38}
    for name, value in numbers.items():
        # What overflows in one layer may be scaled down in the next.
        may = MAY_ANSWER if name == "1e38" else ""
        for part in ("", "norm.weight", "layers.1.mlp", "layers.0.self_attn.v"):
            made[f"{may}weights: {part or 'all'} {name}"] = _tensors(lambda t, value=value: t.fill_(value), part)  # type: ignore[misc]
    made[f"{MAY_ANSWER}weights: all 0"] = _tensors(lambda t: t.fill_(0.0))
    made["weights: a letter NaN"] = _tensors(lambda t: t[2:60].fill_(float("nan")), "embed")
    entry = b'{"model.norm.weight":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}'
    for name, header in {
        "length 2**63": _header(b"{}", 2**63), "length 0": _header(b"", 0), "empty header": _header(b"{}"),
        "not JSON": _header(b"{{{{"), "unknown dtype": _header(entry.replace(b"F32", b"Q9")),
        "offsets beyond": _header(entry), "negative shape": _header(entry.replace(b"[64]", b"[-64]")),
        "huge shape": _header(entry.replace(b"[64]", b"[9223372036854775807]")),
        "deep header": _header(b'{"a":' * 100_000), "a list": _header(b"[]"), "text": b"<html>404</html>",
        "a pointer of git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    }.items():  # fmt: skip
        made[f"weights: {name}"] = _written(WEIGHTS, header)
    for name in (WEIGHTS, CONFIG, TOKENIZER, "tokenizer_config.json"):
        made[f"{name}: a folder"] = _replaced(name, Path.mkdir)
        made[f"{name}: a dangling link"] = _replaced(name, lambda p: p.symlink_to("/nowhere/at/all"))
        made[f"{name}: a link to itself"] = _replaced(name, lambda p: p.symlink_to(p))
        made[f"{name}: a pipe"] = _replaced(name, os.mkfifo)
        made[f"{name}: without end"] = _replaced(name, lambda p: p.symlink_to("/dev/zero"))
    for name in (CONFIG, TOKENIZER, "tokenizer_config.json", "generation_config.json"):
        for what, data in {
            "a list": b"[]", "null": b"null", "a number": b"1e999", "not UTF-8": b'{"a": "\xff\xfe"}', "NUL": bytes(99),
            "UTF-16": '{"a": 1}'.encode("utf-16"), "escapes": b'{"\\u001b[2J": "\\u202e"}',
        }.items():  # fmt: skip
            may = MAY_ANSWER if name in ("generation_config.json", "tokenizer_config.json") else ""
            made[f"{may}{name}: {what}"] = _written(name, data)
    fields = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
              "vocab_size", "max_position_embeddings", "head_dim", "rms_norm_eps", "eos_token_id", "dtype",
              "rope_parameters", "model_type", "architectures", "hidden_act", "quantization_config",
              "tie_word_embeddings", "sliding_window", "layer_types", "attn_implementation")  # fmt: skip
    values = (0, -1, 2**70, "\x1b[2J", [], 1.5, {"quant_method": "nope"})
    for field in fields:
        for value in values:
            made[f"{MAY_ANSWER}config {field}: {value!r}"] = _merged(CONFIG, **{field: value})
    for name, value in {
        "eos_token_id": 10**9, "eos_token_id of text": "x", "cache_implementation": "nope", "max_length": -5,
        "num_beams": 10**9, "do_sample": "x", "suppress_tokens": list(range(258)), "forced_eos_token_id": 10**9,
        "stop_strings": ["\0"], "watermarking_config": {"x": 1}, "assistant": "x", "min_length": 10**9,
    }.items():  # fmt: skip
        made[f"{MAY_ANSWER}generation {name}"] = _merged("generation_config.json", **{name.split()[0]: value})
    made["tokenizer: words beyond the model"] = _vocabulary(
        lambda v: v.update({word: v[word] + 100_000 for word in list(v) if v[word] > 1})
    )
    made[f"{MAY_ANSWER}tokenizer: one number for all words"] = _vocabulary(lambda v: v.update(dict.fromkeys(v, 5)))
    made["tokenizer: no words"] = _vocabulary(lambda v: v.clear())
    made["tokenizer: a negative number"] = _vocabulary(lambda v: v.update(a=-1))
    made["tokenizer: 2**32"] = _vocabulary(lambda v: v.update(a=2**32))
    made[f"{MAY_ANSWER}tokenizer: unknown class"] = _merged("tokenizer_config.json", tokenizer_class="Nope\x1b")
    made[f"{MAY_ANSWER}tokenizer: length 0"] = _merged("tokenizer_config.json", model_max_length=0)
    for name, template in {
        "power": "{{ 9 ** (9 ** 9) }}", "long text": "{{ 'x' * 10**11 }}", "wide number": "{{ '%099999999999d' % 1 }}",
        "long list": "{{ [0] * 10**12 }}", "squares": "{% set n = namespace(x=9) %}{% for i in range(60) %}"
        "{% set n.x = n.x * n.x %}{% endfor %}", "own class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "a file": "{% include '/etc/passwd' %}", "itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "half a mark": "{{", "empty": "", "escapes": "\x1b[2J{{ raise_exception('\x1b]0;x\x07\n\u202e') }}",
        "undefined": "{{ a.b.c }}", "nested": "{% if 1 %}" * 5000, "brackets": "{{" + "(" * 5000,
        "doubling": "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    }.items():  # fmt: skip
        made[f"template: {name}"] = _written("chat_template.jinja", template.encode())
    made["template: half a letter"] = _written("chat_template.jinja", b"{{ '\\ud800' }}")
    made["template: not UTF-8"] = _written("chat_template.jinja", b"{{ '\xff' }}\xfe")
    made["template: a number"] = lambda f: (
        (f / "chat_template.jinja").unlink(), _merged("tokenizer_config.json", chat_template=7)(f)
    )  # fmt: skip
    made["template: a loop"] = _written("chat_template.jinja", b"{% for i in range(99999) %}" * 3 + b"{% endfor %}" * 3)
    made["parts: none"] = _index({})
    made["parts: a list"] = _index([])
    made["parts: elsewhere"] = _index({"model.norm.weight": "../../../../etc/passwd"})
    made["parts: absent"] = _index({"model.norm.weight": "gone.safetensors"})
    made["a pickle that runs code"] = _pickled
    made["code of its own"] = _own_code
    made[f"{MAY_ANSWER}an adapter of another model"] = _written(
        "adapter_config.json", b'{"base_model_name_or_path": "nobody/nothing", "peft_type": "LORA"}'
    )
    return made


def met(folder: Path) -> str:
    """What becomes of a few answers of a model: a word."""
    from refusal_stability.engines.transformers import TransformersEngine
    from refusal_stability.params.engines import ModelParams
    from refusal_stability.params.engines.transformers import TransformersSettings
    from refusal_stability.records import Message, Request, Sampling, StudyError

    try:
        engine = TransformersEngine(ModelParams(path=str(folder)), TransformersSettings(device="cpu", batch_size=4))
        asked = (Message("user", "Hello"),)
        requests = [Request(asked, Sampling(t, 1, 1, max_tokens=60)) for t in (0.0, 1.0)]
        answers = [answer for _, answer in engine.complete(requests)]
    except StudyError as error:
        return "error in one line" if str(error).isprintable() else f"traceback: {str(error)!r}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it counts
        return f"traceback: {type(error).__name__}: {error}"
    if len(answers) == 2 and all(answer.missing_reason for answer in answers):
        shown = "".join(answer.missing_reason or "" for answer in answers)
        return "a reason" if shown.isprintable() else f"traceback: {shown!r}"
    return "an answer"


def _main(names: list[str]) -> None:
    """Break the tiny model in each way, and print what became of it as a line of JSON."""
    import torch

    import refusal_stability.engines.transformers  # noqa: F401 - once for all the children

    torch.set_num_threads(1)
    with TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        save_tiny_model(whole)
        for number, (name, change) in enumerate(changes().items()):
            if names and not any(part in name for part in names):
                continue
            folder = Path(place) / str(number)
            shutil.copytree(whole, folder)
            outcome = _in_a_child(folder, change)
            if outcome == "an answer" and not name.startswith(MAY_ANSWER):
                outcome = "silent"
            print(json.dumps([name, "ran code" if (folder / "ran").exists() else outcome]), flush=True)
            shutil.rmtree(folder)


def _in_a_child(folder: Path, change: Change) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        try:
            change(folder)
            said = met(folder)
        except BaseException as error:  # noqa: BLE001 - a way to break that fails itself must be seen
            said = f"traceback: {type(error).__name__}: {error}"
        os.write(writing, said.encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + LONGEST_S
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            return "too long"
        time.sleep(0.02)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode() or "killed"


def run() -> Counter[str]:
    """Counts of what became of broken models."""
    done = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    counts: Counter[str] = Counter()
    assert done.stdout is not None
    for line in done.stdout:
        name, outcome = json.loads(line)
        kind = outcome.partition(":")[0]
        counts[kind] += 1
        if kind in BAD:
            print(f"models: {name}: {outcome[:400]}", flush=True)
    counts["traceback"] += done.wait() != 0
    return counts


if __name__ == "__main__":
    _main(sys.argv[1:])
