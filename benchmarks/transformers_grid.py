"""The grid through transformers on a CPU, against the usual loop: one `generate` call per (temperature, seed).

Untrained models of 4 and 100 million parameters, and the quickstart's model; 64 tokens an answer. Tokens are counted up
to the end token. All ways run in turn within each round, in one process. What each part of the engine gives is the
engine over itself without it:

- prompts shared: each row computes its own prompt, its cache set aside at the start as ever;
- cache set aside at the start: prompts shared, then the usual cache, which copies all that it holds with every token;
- large batches: batches of as many rows as there are prompts, in the study's order;
- mixed batches: those, over batches of the same size that hold one (temperature, seed) each. A mixed batch holds few
  prompts, many times each, so this has what is left of prompt sharing in it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness import ROOT, Finding, in_turn, main, ratios
from untrained import grid, save_model

from refusal_stability.engines.gguf import unpacked_model
from refusal_stability.engines.row_sampler import RowSampler
from refusal_stability.engines.transformers import TransformersEngine
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.transformers import TransformersSettings
from refusal_stability.records import Request, Sampling

CASES = {"4M": (40, 1.25), "100M": (6, 4.0)}
VOCABULARY = 152_000
REAL, REAL_PROMPTS, REAL_BAR = "models/SmolLM2-135M-Instruct.Q4_1.gguf", 6, 5.0
REAL_BOUND = (
    "Both multiply the same matrices in 32-bit floats. The engine gains by batches of 128 rows, which read the weights "
    "once for all rows, and by prompts that are read once. At this size the arithmetic of the rows bounds it, no "
    "longer the reading of weights."
)


def measure(quick: bool) -> list[Finding]:
    """Tokens a second of each way, their ratios, and the cost of drawing a token a row at a large vocabulary."""
    found = []
    for shape, (prompts, bar) in {"tiny": (3, 1.0)}.items() if quick else CASES.items():
        found += compare(shape, prompts, None if quick else bar, 1 if quick else 2 if shape == "100M" else 3)
    return [*found, *([] if quick else real_model()), *sampling_cost(2 if quick else 20)]


def real_model() -> list[Finding]:
    """The engine against the loop on the quickstart's model, unpacked from its GGUF file."""
    file = ROOT / REAL
    name = f"SmolLM2-135M, {REAL_PROMPTS} prompts x 20"
    if not file.is_file():
        return [Finding(f"{name}: engine over loop", [], "x", REAL_BAR, True, f"no {REAL}: `make setup` fetches it")]
    folder = str(unpacked_model(ModelParams(path=str(file)), "float32").folder)
    requests = grid(REAL_PROMPTS)
    engine, usual = opened(TransformersEngine, folder, 128), Loop(Path(folder))
    tokens_of(engine, requests[:2])
    usual.tokens(requests[:2])
    ways: dict[str, Callable[[], float]] = {
        "engine": lambda: rate(lambda: tokens_of(engine, requests)),
        "loop": lambda: rate(lambda: sum(usual.tokens(part) for part in cells(requests))),
    }
    speed = in_turn(ways, 2)
    return [
        Finding(
            f"{name}: engine over loop", ratios(speed["engine"], speed["loop"]), "x", REAL_BAR, True, bound=REAL_BOUND
        ),
        Finding(f"{name}: engine", speed["engine"], "tokens/s"),
        Finding(f"{name}: one `generate` per (temperature, seed)", speed["loop"], "tokens/s"),
    ]


def compare(shape: str, prompts: int, bar: float | None, rounds: int) -> list[Finding]:
    """The engine against the loop, and against itself without each of its parts, on one model."""
    requests = grid(prompts, 8 if bar is None else 64)
    # Small batches of a large model are slow: one seed of five gives their rate as well.
    some = [r for r in requests if r.sampling.seed == requests[0].sampling.seed] if shape == "100M" else requests
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), shape)
        engine, narrow = opened(TransformersEngine, folder, 128), opened(TransformersEngine, folder, prompts)
        unshared, growing = opened(WithoutSharing, folder, 128), opened(WithGrowingCache, folder, 128)
        usual = Loop(Path(folder))
        ways: dict[str, Callable[[], float]] = {
            "engine": lambda: rate(lambda: tokens_of(engine, requests)),
            "loop": lambda: rate(lambda: sum(usual.tokens(part) for part in cells(requests))),
            "unshared": lambda: rate(lambda: tokens_of(unshared, requests)),
            "growing": lambda: rate(lambda: tokens_of(growing, requests)),
            "narrow": lambda: rate(lambda: tokens_of(narrow, some)),
            "unmixed": lambda: rate(lambda: sum(tokens_of(narrow, part) for part in cells(some))),
        }
        for started in (engine, narrow, unshared, growing):
            tokens_of(started, requests[:2])
        usual.tokens(requests[:2])
        speed = in_turn(ways, rounds)
    name = f"{shape} model, {prompts} prompts x 20"
    part = " (one seed of five)" if len(some) < len(requests) else ""

    def over(what: str, above: str, below: str, bar: float | None = None) -> Finding:
        return Finding(f"{name}: {what}", ratios(speed[above], speed[below]), "x", bar, True)

    return [
        over("engine over loop", "engine", "loop", bar),
        over("what sharing prompts gives", "engine", "unshared"),
        over("what a cache set aside at the start gives", "engine", "growing"),
        over(f"what batches of 128 give over {prompts}{part}", "engine", "narrow"),
        over(f"what mixing gives in batches of {prompts}{part}", "narrow", "unmixed"),
        Finding(f"{name}: engine", speed["engine"], "tokens/s"),
        Finding(f"{name}: one `generate` per (temperature, seed)", speed["loop"], "tokens/s"),
    ]


def cells(requests: Sequence[Request]) -> list[list[Request]]:
    """The requests of each temperature and seed."""
    apart: dict[Any, list[Request]] = {}
    for request in requests:
        apart.setdefault((request.sampling.temperature, request.sampling.seed), []).append(request)
    return list(apart.values())


class WithoutSharing(TransformersEngine):
    """The engine, each row computing its own prompt into a cache that is set aside as ever."""

    def _prefix(self, rows: Sequence[list[int]], width: int, length: int) -> dict[str, Any]:
        import torch
        from transformers import Cache

        from refusal_stability.engines.prefix import _roomy_layer

        config = self._model.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        nothing = torch.empty((1, config.num_key_value_heads, 0, size), dtype=self._model.dtype)
        nothing_held = SimpleNamespace(
            layers=[SimpleNamespace(keys=nothing, values=nothing)] * config.num_hidden_layers
        )
        # A width of one column: the last, which is never held.
        shares = [(nothing_held, 1, list(range(len(rows))), [0] * len(rows))]
        layers = [_roomy_layer()(shares, number, 1, width + length) for number in range(config.num_hidden_layers)]
        return {"past_key_values": Cache(layers=layers)}


class WithGrowingCache(TransformersEngine):
    """The engine, prompts shared, going on from them in the usual cache."""

    def _prefix(self, rows: Sequence[list[int]], width: int, length: int) -> dict[str, Any]:
        from transformers import DynamicCache

        usual = DynamicCache(config=self._model.config)
        shared = super()._prefix(rows, width, 0)["past_key_values"]
        for number, layer in enumerate(shared.layers):
            usual.update(layer.keys, layer.values, number)
        return {"past_key_values": usual}


def opened(kind: type[TransformersEngine], folder: str, batch_size: int) -> TransformersEngine:
    """An engine in 32-bit floats on the CPU."""
    return kind(ModelParams(path=folder), TransformersSettings(dtype="float32", device="cpu", batch_size=batch_size))


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
            sampler(torch.zeros((rows, step), dtype=torch.long), scores.clone())
        return 1e3 * (time.perf_counter() - start) / (steps * rows)

    def gumbel() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            noise = torch.stack([torch.empty(VOCABULARY).exponential_(generator=g) for g in generators])
            (scores / 0.7 - noise.log()).argmax(dim=-1)
        return 1e3 * (time.perf_counter() - start) / (steps * rows)

    def shared() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            torch.multinomial((scores / 0.7).softmax(dim=-1), 1, generator=generators[0])
        return 1e3 * (time.perf_counter() - start) / (steps * rows)

    costs = in_turn({"ours": ours, "gumbel": gumbel, "shared": shared}, 3)
    return [
        Finding(f"drawing a token, vocabulary of {VOCABULARY:,}, inverse CDF (ours)", costs["ours"], "ms a row"),
        Finding("the same by Gumbel noise from a generator a row", costs["gumbel"], "ms a row"),
        Finding(
            "the same by softmax and multinomial from one generator for all rows (no row has its own stream)",
            costs["shared"],
            "ms a row",
        ),
        Finding("ours over the one generator", ratios(costs["ours"], costs["shared"]), "x"),
    ]


if __name__ == "__main__":
    main("transformers_grid", __doc__, measure, ("torch", "transformers"))
