"""The grid through transformers on a CPU, against the usual loop: one `generate` call per (temperature, seed).

Untrained models of 4 and 100 million parameters, 64 tokens an answer; tokens are counted up to the end token. All ways
run in turn in one process. What prefix sharing gives: the engine without it. What mixed batches give: the engine with
batches of one (temperature, seed), as many rows as there are prompts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import Finding, in_turn, main, ratios
from untrained import grid, save_model

from refusal_stability.engines.transformers import RowSampler, TransformersEngine
from refusal_stability.params import ModelParams, TransformersSettings
from refusal_stability.records import Request, Sampling

CASES = {"4M": (40, 1.25), "100M": (6, 4.0)}
VOCABULARY = 152_000


def measure(quick: bool) -> list[Finding]:
    """Tokens a second of each way, their ratios, and the cost of drawing a token a row at a large vocabulary."""
    found = []
    for shape, (prompts, bar) in {"tiny": (3, 1.0)}.items() if quick else CASES.items():
        found += compare(shape, prompts, None if quick else bar, 1 if quick else 2 if shape == "100M" else 3)
    return [*found, *sampling_cost(2 if quick else 20)]


def compare(shape: str, prompts: int, bar: float | None, rounds: int) -> list[Finding]:
    """The engine against the loop on one model."""
    requests = grid(prompts, 8 if bar is None else 64)
    apart: dict[Any, list[Request]] = {}
    for request in requests:
        apart.setdefault((request.sampling.temperature, request.sampling.seed), []).append(request)
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), shape)
        engine = opened(TransformersEngine, folder, 128)
        unshared, narrow = opened(WithoutPrefix, folder, 128), opened(TransformersEngine, folder, prompts)
        usual = Loop(Path(folder))
        ways: dict[str, Callable[[], float]] = {
            "engine": lambda: rate(lambda: tokens_of(engine, requests)),
            "loop": lambda: rate(lambda: sum(usual.tokens(part) for part in apart.values())),
            "unshared": lambda: rate(lambda: tokens_of(unshared, requests)),
            "narrow": lambda: rate(lambda: sum(tokens_of(narrow, part) for part in apart.values())),
        }
        for started in (engine, unshared, narrow):
            tokens_of(started, requests[:2])
        usual.tokens(requests[:2])
        # The slow ways of a large model are shown by one run each; what has a bar runs in every round.
        aside = in_turn({name: ways.pop(name) for name in ("unshared", "narrow")}, 1) if shape == "100M" else {}
        speed = in_turn(ways, rounds) | aside
    name = f"{shape} model, {prompts} prompts x 20"

    def over(way: str) -> list[float]:
        return ratios(speed["engine"][: len(speed[way])], speed[way])

    return [
        Finding(f"{name}: engine over loop", over("loop"), "x", bar, True),
        Finding(f"{name}: engine over engine without prefix sharing", over("unshared"), "x"),
        Finding(f"{name}: engine over engine without mixed batches", over("narrow"), "x"),
        Finding(f"{name}: engine", speed["engine"], "tokens/s"),
        Finding(f"{name}: one `generate` per (temperature, seed)", speed["loop"], "tokens/s"),
    ]


class WithoutPrefix(TransformersEngine):
    """The engine, each row computing its own prompt."""

    def _prefix(self, rows: Sequence[list[int]], width: int, length: int) -> dict[str, Any]:
        return {}


def opened(kind: type[TransformersEngine], folder: str, batch_size: int) -> TransformersEngine:
    """An engine in 32-bit floats on the CPU."""
    return kind(ModelParams(path=folder), TransformersSettings("float32", "cpu", batch_size))


class Loop:
    """What one would write by hand: seed, then one batch of all prompts."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()

    def tokens(self, requests: Sequence[Request]) -> int:
        """Answer requests of one temperature and seed; the number of tokens made."""
        import torch

        first = requests[0].sampling
        chats = [[{"role": m.role, "content": m.content} for m in request.messages] for request in requests]
        inputs = self.tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        chosen = {"do_sample": True, "temperature": first.temperature, "top_k": 0} if first.temperature > 0 else {}
        torch.manual_seed(first.seed)
        with torch.inference_mode():
            output = self.model.generate(**inputs, **({"do_sample": False} | chosen), max_new_tokens=first.max_tokens)
        rows = output[:, inputs["input_ids"].shape[1] :].tolist()
        end = self.tokenizer.eos_token_id
        return sum(row.index(end) + 1 if end in row else len(row) for row in rows)


def tokens_of(engine: TransformersEngine, requests: Sequence[Request]) -> int:
    """Answer the requests; the number of tokens made."""
    return sum(completion.completion_tokens for _, completion in engine.complete(requests))


def rate(work: Callable[[], int]) -> float:
    """What the work made, a second."""
    start = time.perf_counter()
    made = work()
    return made / (time.perf_counter() - start)


def sampling_cost(steps: int) -> list[Finding]:
    """Milliseconds a row and token at a large vocabulary: ours, and noise for every word of the vocabulary."""
    import torch

    rows = 32
    scores = torch.randn(rows, VOCABULARY)
    sampler = RowSampler([Sampling(0.7, 0, stream) for stream in range(rows)], 0, steps, "cpu")
    generators = [torch.Generator().manual_seed(stream) for stream in range(rows)]

    def ours() -> float:
        start = time.perf_counter()
        for step in range(steps):
            sampler(torch.zeros((rows, step), dtype=torch.long), scores)
        return 1e3 * (time.perf_counter() - start) / (steps * rows)

    def gumbel() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            noise = torch.stack([torch.empty(VOCABULARY).exponential_(generator=g) for g in generators])
            (scores / 0.7 - noise.log()).argmax(dim=-1)
        return 1e3 * (time.perf_counter() - start) / (steps * rows)

    costs = in_turn({"ours": ours, "gumbel": gumbel}, 3)
    return [
        Finding(f"drawing a token, vocabulary of {VOCABULARY:,}, inverse CDF (ours)", costs["ours"], "ms a row"),
        Finding("the same by Gumbel noise from a generator a row", costs["gumbel"], "ms a row"),
    ]


if __name__ == "__main__":
    main("transformers_grid", __doc__, measure, ("torch", "transformers"))
