"""The full study on one GPU: tokens, time and cost on paper, and the command that measures the rates.

`make bench-gpu` on a machine with an NVIDIA GPU and `make vllm` done: measures a model of Llama 3.1 8B's shape with
random weights (speed does not depend on them, and nothing is downloaded), then prints the table with measured rates.
`--cpu` tries the same out on a CPU with a tiny model; `--paper` prints the table from assumed rates.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import Finding, in_turn, ratios, row
from untrained import grid, save_model

REQUESTS = 876 * 20
# Bytes of the published study's texts at 4 bytes a token: prompts of 80, Llama's answers of 527, Qwen's of 1,197.
# A chat template is taken for 40 tokens. The third model is assumed to answer at Qwen's length.
PROMPT_TOKENS = 60
ANSWER_TOKENS = {"Llama 3.1 8B": 132, "Mistral 7B v0.3": 299, "Qwen 2.5 7B": 299}
# Published shares of distinct (prompt, response) pairs: Llama 9,825 and Qwen 15,530 of 17,520.
DISTINCT = {"Llama 3.1 8B": 0.561, "Mistral 7B v0.3": 0.886, "Qwen 2.5 7B": 0.886}
RUBRIC_TOKENS = 586
VERDICT_TOKENS = 80
LOAD_SECONDS = 120.0


@dataclass(frozen=True)
class Rates:
    """Tokens a second read and written by a model of 8 billion parameters, and what an hour costs.

    A model of 12 billion (the judge) is taken to need half as long again.
    """

    gpu: str
    read: float
    written: float
    dollars: float
    source: str


ASSUMED = (
    Rates("H100 80 GB", 40_000, 10_000, 3.0, "assumed"),
    Rates("H200 141 GB", 45_000, 13_000, 4.0, "assumed"),
)


@dataclass(frozen=True)
class Work:
    """Tokens that one part of the study reads (each prompt once: its rows share the prefix) and writes."""

    name: str
    requests: int
    read: int
    written: int
    slower: float = 1.0

    def hours(self, rates: Rates) -> float:
        """Hours, the load of the model included."""
        seconds = self.slower * (self.read / rates.read + self.written / rates.written)
        return (LOAD_SECONDS + seconds) / 3600


def full_study() -> list[Work]:
    """Generation of three models' grids, and the judging of their distinct responses."""
    parts = [
        Work(f"generate, {model}", REQUESTS, REQUESTS // 20 * PROMPT_TOKENS, REQUESTS * answer)
        for model, answer in ANSWER_TOKENS.items()
    ]
    pairs = {model: round(REQUESTS * share) for model, share in DISTINCT.items()}
    read = sum(count * (RUBRIC_TOKENS + PROMPT_TOKENS + ANSWER_TOKENS[model]) for model, count in pairs.items())
    total = sum(pairs.values())
    return [*parts, Work("judge, Gemma 3 12B", total, read, total * VERDICT_TOKENS, 1.5)]


def paper(rates: Rates) -> list[str]:
    """The table of tokens, time and cost at these rates, as Markdown."""
    lines = [
        f"One {rates.gpu}, rates {rates.source}: {rates.read:,.0f} tokens read and {rates.written:,.0f} written a",
        f"second by an 8B model, ${rates.dollars:.2f} an hour (assumed).",
        "",
        "| work | requests | tokens read | tokens written | hours | cost |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    works = full_study()
    for work in works:
        hours = work.hours(rates)
        cells = f"{work.requests:,} | {work.read:,} | {work.written:,} | {hours:.2f} | ${hours * rates.dollars:.2f}"
        lines.append(f"| {work.name} | {cells} |")
    hours = sum(work.hours(rates) for work in works)
    sums = (sum(w.requests for w in works), sum(w.read for w in works), sum(w.written for w in works))
    cells = " | ".join(f"{value:,}" for value in sums)
    return [*lines, f"| **in all** | {cells} | {hours:.2f} | ${hours * rates.dollars:.2f} |"]


def page() -> list[str]:
    """The part of the benchmarks' report that is worked out on paper."""
    lines = [
        "",
        "## The full study on one GPU, on paper",
        "",
        "`make bench-gpu` measures the rates on a GPU and prints these tables with them. **It was not run on one",
        "here.** Tokens follow from the published texts' lengths at 4 bytes a token and their shares of distinct",
        f"responses: prompt and template {PROMPT_TOKENS}, answers {' / '.join(map(str, ANSWER_TOKENS.values()))},",
        f"rubric {RUBRIC_TOKENS}, verdict {VERDICT_TOKENS}. Assumed are all rates and prices, that the third model",
        f"answers at Qwen's length, that a 12B judge is 1.5 times as slow, and {LOAD_SECONDS:.0f} s for each load.",
    ]
    for rates in ASSUMED:
        lines += ["", *paper(rates)]
    return lines


def measured(cpu: bool) -> tuple[list[Finding], Rates]:
    """Run the grid through the engine, the limit and the loop; the rates that the engine reached."""
    from vllm_grid import LOOP_BATCH, Way, timed

    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    length, prompts = (16, 4) if cpu else (256, 84)
    requests = grid(prompts, length)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder)
        if cpu:
            save_model(model, "tiny")
            more = {}
        else:
            config_of_llama_8b(model)
            more = {"load_format": "dummy", "dtype": "bfloat16", "enforce_eager": False}
        way = Way(model, True, **more)
        ways: dict[str, Callable[[], float]] = {
            "engine": lambda: way.through_engine(requests),
            "limit": lambda: way.at_once(requests),
            "loop": lambda: way.loop(requests),
            # One token written for each distinct text: what remains is reading.
            "read": lambda: way.read_only(prompts),
        }
        way.through_engine(requests)
        found = in_turn({name: timed(run) for name, run in ways.items()}, 1 if cpu else 3)
    name = gpu_name() or "cpu"
    findings = [
        Finding("engine over one LLM.generate", ratios(found["engine"], found["limit"]), "x", 0.95, True),
        Finding(f"engine over the loop in batches of {LOOP_BATCH}", ratios(found["engine"], found["loop"]), "x"),
        Finding("written", found["engine"], "tokens/s"),
        Finding("read", found["read"], "tokens/s"),
    ]
    price = 4.0 if "H200" in name else 3.0
    return findings, Rates(name, findings[3].median, findings[2].median, price, "measured")


def config_of_llama_8b(folder: Path) -> None:
    """A folder with the configuration of Llama 3.1 8B and a small tokenizer; vLLM makes the weights up."""
    from transformers import LlamaConfig

    save_model(folder, "tiny")
    (folder / "model.safetensors").unlink()
    small = LlamaConfig.from_pretrained(folder)
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=128_256,
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


def gpu_name() -> str:
    """The NVIDIA GPU's name; empty where there is none."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.splitlines()[0].strip() if found.stdout.strip() else ""


def main() -> None:
    """Measure and print, or say in one line why that cannot be done here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="try the command out on a CPU with a tiny model")
    parser.add_argument("--paper", action="store_true", help="print the tables from assumed rates; measure nothing")
    options = parser.parse_args()
    if options.paper:
        print("\n".join(page()).strip())
        return
    if not options.cpu and not gpu_name():
        sys.exit("error: bench-gpu: nvidia-smi finds no GPU; run it on one, or with ARGS=--cpu or ARGS=--paper")
    if importlib.util.find_spec("vllm") is None:
        sys.exit("error: bench-gpu: vLLM is not installed; run `make vllm` first")
    findings, rates = measured(options.cpu)
    for finding in findings:
        print("  ".join(cell for cell in row(finding) if cell))
    print(json.dumps({"read": rates.read, "written": rates.written, "gpu": rates.gpu}))
    if options.cpu:
        print("A tiny model on a CPU: this shows that the command works, and says nothing of a GPU.")
    else:
        print("\n".join(paper(rates)))


if __name__ == "__main__":
    main()
