"""The grid through vLLM: prompts x 4 temperatures x 5 seeds on an embedded model, all ways in turn on one engine.

The limit is one `LLM.generate` call with the same requests; the usual loop is one call per (temperature, seed) and 32
prompts. Runs in .venv-vllm (`make vllm`), which this script finds by itself; skipped where there is none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import ROOT, Finding, in_turn, main, ratios, skipped, surroundings
from untrained import grid, save_model

from refusal_stability.records import Request

VLLM_PYTHON = ROOT / ".venv-vllm/bin/python"
TRAINED = ROOT / "models/reference/reference-wavering"
LIMIT_BAR, LOOP_BAR = 0.95, 1.25
LOOP_BATCH = 32


def measure(quick: bool) -> list[Finding]:
    """Measure here where vLLM is installed, else in its environment, else say why not."""
    if importlib.util.find_spec("vllm") is not None:
        return measure_here(quick)
    if not VLLM_PYTHON.is_file():
        why = "vLLM is not installed; `make vllm` makes its environment"
        return [
            skipped("engine over one LLM.generate", "x", why, LIMIT_BAR, True),
            skipped("engine over the loop", "x", why, LOOP_BAR, True),
        ]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        arguments = ["--here", str(found), *(["--quick"] if quick else [])]
        subprocess.run([str(VLLM_PYTHON), __file__, *arguments], env=surroundings(), check=True, stdout=sys.stderr)
        return [Finding(**finding) for finding in json.loads(found.read_text())]


def measure_here(quick: bool) -> list[Finding]:
    """All ways on engines of this process: one with prefix caching, one without."""
    prompts, rounds = (4, 1) if quick else (40, 3)
    requests = grid(prompts)
    shuffled = random.Random(0).sample(requests, len(requests))
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        model = TRAINED if (TRAINED / "model.safetensors").is_file() else Path(folder)
        if model != TRAINED:
            save_model(model, "4M")
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
        speed = in_turn({name: timed(way) for name, way in ways.items()}, rounds)
    name = f"{len(requests):,} requests on {'reference-wavering' if model == TRAINED else 'an untrained 4M model'}"
    bars = (None, None) if quick else (LIMIT_BAR, LOOP_BAR)
    engine = speed["engine"]
    return [
        Finding(
            f"{name}: engine over one LLM.generate (the limit)", ratios(engine, speed["limit"]), "x", bars[0], True
        ),
        Finding(f"{name}: engine over the loop", ratios(engine, speed["loop"]), "x", bars[1], True),
        Finding("seeded over unseeded sampling (one LLM.generate)", ratios(speed["limit"], speed["unseeded"]), "x"),
        Finding("prefix caching on over off", ratios(engine, speed["uncached"]), "x"),
        Finding("a prompt's requests side by side over shuffled", ratios(engine, speed["shuffled"]), "x"),
        Finding("engine", engine, "tokens/s"),
        Finding("one LLM.generate", speed["limit"], "tokens/s"),
        Finding(f"the loop: one call per (temperature, seed) and {LOOP_BATCH} prompts", speed["loop"], "tokens/s"),
    ]


class Way:
    """One engine, and the same requests put to it in three ways; each returns the number of tokens made."""

    def __init__(self, model: Path, prefix_caching: bool, **more: Any) -> None:
        from refusal_stability.engines.vllm import VLLMEngine
        from refusal_stability.params import ModelParams, VLLMSettings

        arguments = {"max_model_len": 512, "enforce_eager": True, "enable_prefix_caching": prefix_caching, **more}
        self.engine = VLLMEngine(ModelParams("vllm", str(model)), VLLMSettings(arguments=arguments), "benchmark")
        self.reads = 0

    def through_engine(self, requests: Sequence[Request]) -> int:
        """The project's engine, as the stage drives it."""
        return sum(completion.completion_tokens for _, completion in self.engine.complete(requests))

    def at_once(self, requests: Sequence[Request], seeded: bool = True) -> int:
        """One call of vLLM with the same tokens and parameters, and nothing else."""
        from vllm import SamplingParams

        params = [
            SamplingParams(
                temperature=r.sampling.temperature,
                seed=r.sampling.stream if seeded else None,
                max_tokens=r.sampling.max_tokens,
            )
            for r in requests
        ]
        llm: Any = self.engine._load()
        outputs = llm.generate(self._prompts(requests), params, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    def loop(self, requests: Sequence[Request]) -> int:
        """One call after another, each of one temperature and seed."""
        apart: dict[Any, list[Request]] = {}
        for request in requests:
            apart.setdefault((request.sampling.temperature, request.sampling.seed), []).append(request)
        parts = [some[i : i + LOOP_BATCH] for some in apart.values() for i in range(0, len(some), LOOP_BATCH)]
        return sum(self.at_once(part) for part in parts)

    def read_only(self, texts: int) -> int:
        """Read texts of 400 tokens each that share no prefix, and write one token for each; the tokens read."""
        from vllm import SamplingParams

        self.reads += 1
        rng = random.Random(self.reads)
        prompts: Any = [{"prompt_token_ids": [rng.randrange(300, 1200) for _ in range(400)]} for _ in range(texts)]
        self.engine._load().generate(prompts, SamplingParams(max_tokens=1), use_tqdm=False)
        return 400 * texts

    def _prompts(self, requests: Sequence[Request]) -> list[Any]:
        return [{"prompt_token_ids": self.engine._tokenize(request.messages)} for request in requests]


def timed(way: Callable[[], int]) -> Callable[[], float]:
    """The way, giving tokens a second."""

    def run() -> float:
        start = time.perf_counter()
        made = way()
        return made / (time.perf_counter() - start)

    return run


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        findings = measure_here("--quick" in sys.argv)
        Path(sys.argv[2]).write_text(json.dumps([asdict(finding) for finding in findings]))
    else:
        main("vllm_grid", __doc__, measure)
