"""What `make bench-gpu` measures, part by part, within a time limit.

Every model is measured in a process of its own, which writes the results' file anew after each part. The parent ends
that process when the time is over, so nothing that was measured is lost. A part that no longer fits is left out.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import ROOT, surroundings
from untrained import grid, save_model

LIMIT_MINUTES = 8.0
ROUNDS = 3
# Kept back for ending the process, and for writing the last results.
RESERVE_S = 5.0
# What a model that others follow may take of the time that is left.
MOST_OF_IT = 0.4
REAL = ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
# Llama 3.1's.
VOCABULARY = 128_256
# At least this many tokens are read in the reading test.
READ_TOKENS, READ_LENGTH = 500_000, 400
# The loop is slow: of 20 pairs of temperature and seed it takes this many.
LOOP_PAIRS = 4
LOAD, WRITTEN, READ, LIMIT, LOOP = "load", "written", "read", "limit", "loop"
# A real model from the package index, 8 billion parameters with random weights, and one to try the command out.
SMOLLM2, SHAPE_8B, TINY = "SmolLM2-135M", "8B, random weights", "tiny, random weights"


@dataclass
class Found:
    """What was measured of each model.

    Attributes
    ----------
    speeds : tokens a second by model and part, one a round; the part `load` has seconds.
    left_out : why a part has fewer rounds than planned, or none.
    """

    speeds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Found:
        """What the file holds; nothing where it is not there."""
        if not path.is_file():
            return cls()
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(values["speeds"], values["left_out"])

    def write(self, path: Path) -> None:
        """Replace the file at once, so that a kill leaves a whole one."""
        aside = path.with_name(path.name + ".new")
        aside.write_text(json.dumps(vars(self), indent=1) + "\n", encoding="utf-8")
        aside.replace(path)


def say(text: str) -> None:
    """A line of progress."""
    print(f"bench-gpu: {text}", file=sys.stderr, flush=True)


def measure(models: Sequence[str], path: Path, deadline: float, after: Callable[[Found], object]) -> Found:
    """Measure the models in turn until the deadline.

    Parameters
    ----------
    models : their names.
    path : the file of what was found, written after each part.
    deadline : as `time.time` gives it.
    after : is handed what was found so far, whenever that changed.
    """
    path.unlink(missing_ok=True)
    seen = 0

    def changed() -> None:
        nonlocal seen
        if path.is_file() and (state := path.stat().st_mtime_ns) != seen:
            seen = state
            after(Found.read(path))

    for model in models:
        left = (deadline - RESERVE_S - time.time()) * (1.0 if model == models[-1] else MOST_OF_IT)
        why = "" if left > 0 else "time ran out before this model started"
        if not why:
            say(f"{model}: starting; {left:.0f} s are left")
            command = [sys.executable, str(Path(__file__)), "--here", str(path), model, str(time.time() + left)]
            why = watched(command, left, changed)
        found = Found.read(path)
        if why:
            found.left_out[model] = why
            found.write(path)
            say(f"{model}: {why}")
        after(found)
    return Found.read(path)


def watched(command: Sequence[str], seconds: float, meanwhile: Callable[[], None] = lambda: None) -> str:
    """Run a command no longer than so many seconds; why it did not come to its end, or nothing."""
    end = time.monotonic() + seconds
    process = subprocess.Popen(command, env=surroundings(), start_new_session=True)
    try:
        while time.monotonic() < end:
            try:
                status = process.wait(1.0)
                return "" if status == 0 else f"it failed ({status}); see above"
            except subprocess.TimeoutExpired:
                meanwhile()
        return "ended by the time limit; the missing parts did not fit"
    finally:
        # vLLM's engine is a process of its own: the whole group goes.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def rounds_of(
    parts: Mapping[str, Callable[[], float]],
    rounds: int,
    left: Callable[[], float],
    keep: Callable[[str, float], None],
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, str]:
    """Run the parts in turn, round after round, as long as each fits; why the others were left out.

    Parameters
    ----------
    parts : by name, the most important first; each gives its figure.
    rounds : how often each is run where there is time.
    left : the seconds that are left.
    keep : takes a part's name and figure as soon as it is there.
    clock : for what a part takes. One that never ran is taken to last as long as the longest so far.
    """
    took: dict[str, float] = {}
    out: dict[str, str] = {}
    for number in range(1, rounds + 1):
        for name, run in parts.items():
            needed = took.get(name, max(took.values(), default=0.0))
            if (there := left()) < needed or there <= 0:
                out.setdefault(
                    name, f"from round {number} on: {there:.0f} s were left, and it takes about {needed:.0f} s"
                )
                continue
            start = clock()
            figure = run()
            took[name] = clock() - start
            keep(name, figure)
    return out


def here(path: Path, model: str, deadline: float) -> None:
    """Measure one model in this process, and write what was found after each part."""
    from vllm_grid import Way, timed

    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    found = Found.read(path)
    speeds = found.speeds.setdefault(model, {})

    def left() -> float:
        return deadline - time.time()

    def keep(name: str, figure: float) -> None:
        speeds.setdefault(name, []).append(figure)
        found.write(path)
        unit = "s" if name == LOAD else "tokens/s"
        say(f"{model}: {name} {figure:,.0f} {unit} (round {len(speeds[name])}); {left():.0f} s are left")

    length, prompts = {SMOLLM2: (64, 84), SHAPE_8B: (256, 84), TINY: (16, 4)}[model]
    requests = grid(prompts, length)
    pairs = list(dict.fromkeys((r.sampling.temperature, r.sampling.seed) for r in requests))[:LOOP_PAIRS]
    looped = [r for r in requests if (r.sampling.temperature, r.sampling.seed) in pairs]
    texts = prompts if model == TINY else -(-READ_TOKENS // READ_LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        place, arguments = made(model, Path(folder))
        way = Way(place, True, **arguments)
        way.through_engine(requests[:40])
        keep(LOAD, time.monotonic() - start)
        parts = {
            WRITTEN: timed(lambda: way.through_engine(requests)),
            # One token written for each distinct text: what remains is reading.
            READ: timed(lambda: way.read_only(texts, READ_LENGTH)),
            LIMIT: timed(lambda: way.at_once(requests)),
            LOOP: timed(lambda: way.loop(looped)),
        }
        out = rounds_of(parts, 1 if model == TINY else ROUNDS, left, keep)
    found.left_out |= {f"{model}: {name}": why for name, why in out.items()}
    found.write(path)


def made(model: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A model's folder, and vLLM's arguments for it."""
    if model == SMOLLM2:
        return unpacked(), {"dtype": "bfloat16"}
    if model == SHAPE_8B:
        config_of_llama_8b(folder)
        return folder, {"load_format": "dummy", "dtype": "bfloat16"}
    save_model(folder, "tiny")
    return folder, {"enforce_eager": True}


def unpacked() -> Path:
    """The folder of the package index's model, unpacked by the environment that can read it."""
    if not REAL.is_file():
        raise SystemExit(f"no models/{REAL.name}: `make setup` fetches it")
    python = sys.executable if importlib.util.find_spec("gguf") else str(ROOT / ".venv/bin/python")
    code = (
        "import sys; from refusal_stability.engines.gguf import unpacked_model; "
        "from refusal_stability.params.engines import ModelParams; "
        "print(unpacked_model(ModelParams(path=sys.argv[1]), 'float32').folder)"
    )
    command = [python, "-c", code, str(REAL)]
    done = subprocess.run(command, env=surroundings(), check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.splitlines()[-1])


def config_of_llama_8b(folder: Path) -> None:
    """A folder with the configuration of Llama 3.1 8B and a tokenizer of as many words; vLLM makes the weights up."""
    from transformers import LlamaConfig

    save_model(folder, "tiny")
    (folder / "model.safetensors").unlink()
    small = LlamaConfig.from_pretrained(folder)
    cover(folder, VOCABULARY)
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=VOCABULARY,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8192,
        bos_token_id=small.bos_token_id,
        eos_token_id=small.eos_token_id,
        pad_token_id=small.pad_token_id,
        dtype="bfloat16",
    ).save_pretrained(folder)


def cover(folder: Path, size: int) -> None:
    """Give the tokenizer a word for every number up to `size`: random weights name any, and each has to be spelled."""
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    words = tokenizer["model"]["vocab"]
    taken = {*words.values(), *(token["id"] for token in tokenizer["added_tokens"])}
    words |= {f"\u0120word{number}": number for number in range(size) if number not in taken}
    file.write_text(json.dumps(tokenizer), encoding="utf-8")


if __name__ == "__main__":
    here(Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
