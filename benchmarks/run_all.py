"""Run every benchmark, or those named, and write reports/benchmarks.md with reports/benchmarks.json beside it.

`python benchmarks/run_all.py` (which `make bench` calls) takes about 25 minutes on 2 cores. A benchmark that is not
run keeps its part of the JSON, so that one can be measured anew alone. `--quick` tries all of them out at small sizes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import gpu_recipe
from harness import ROOT, Outcome, load, machine, outcome_from, row, surroundings

HERE = Path(__file__).resolve().parent
# What each answers, in the order of the report.
BENCHMARKS = {
    "vllm_grid": "Grid through vLLM",
    "transformers_grid": "Grid through transformers on CPU",
    "http_overhead": "Harness overhead over HTTP",
    "resume": "Resume after kill -9",
    "judging": "Judging",
    "metrics": "Metrics",
    "startup": "Start-up",
    "stages": "Tracking and memory, 70,080 rows",
    "explorer": "Explorer",
}
REMARKS = HERE / "remarks.md"


def main() -> None:
    """Run what is asked for, then write the report; a benchmark that fails is named and the others still run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, single runs: shows that all works")
    parser.add_argument("--reports", type=Path, default=ROOT / "reports", help="where benchmarks.md and .json go")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such benchmark; there are: {', '.join(BENCHMARKS)}")
    path = options.reports / "benchmarks.json"
    known = kept(path, options.quick)
    failed = []
    for name in options.names or BENCHMARKS:
        print(f"== {name} (load {load()})", flush=True)
        outcome = run(name, options.quick)
        if outcome is None:
            failed.append(name)
        else:
            known[name] = outcome
    options.reports.mkdir(parents=True, exist_ok=True)
    found = {"machine": machine(), "outcomes": [asdict(known[name]) for name in BENCHMARKS if name in known]}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page = report(found["machine"], [known[name] for name in BENCHMARKS if name in known])
    path.with_suffix(".md").write_text(page, encoding="utf-8")
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed; see above. The others are in the report")


def kept(path: Path, quick: bool) -> dict[str, Outcome]:
    """Earlier outcomes of the same kind (quick or not) on the same machine."""
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["machine"] != machine():
        return {}
    outcomes = [outcome_from(json.dumps(outcome)) for outcome in found["outcomes"]]
    return {outcome.name: outcome for outcome in outcomes if outcome.quick == quick}


def run(name: str, quick: bool) -> Outcome | None:
    """Run one benchmark as a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(file), *(["--quick"] if quick else [])]
        done = subprocess.run(command, cwd=ROOT, env=surroundings(), check=False)
        if done.returncode != 0 or not file.is_file():
            return None
        return outcome_from(file.read_text(encoding="utf-8"))


def report(of: dict[str, str], outcomes: list[Outcome]) -> str:
    """The page."""
    quick = any(outcome.quick for outcome in outcomes)
    verdicts = [finding.verdict for outcome in outcomes for finding in outcome.findings]
    missed = [f"{o.name}: {f.what}" for o in outcomes for f in o.findings if f.verdict == "MISSED"]
    lines = [
        "# Benchmarks",
        "",
        "`make bench` wrote this page; `python benchmarks/NAME.py` runs one alone, `make bench ARGS=NAME` renews its",
        "part. Figures are medians of a benchmark's runs, with least and greatest; what is compared ran in turn. The",
        "parts may be of different days: each says the load when it began.",
        *(["", "**Quick sizes: these figures show that the benchmarks work, and nothing else.**"] if quick else []),
        "",
        f"Bars met: {verdicts.count('met')}. Missed: {len(missed)}"
        + (f" ({'; '.join(missed)})" if missed else "")
        + f". Skipped: {sum(v.startswith('skipped') for v in verdicts)}.",
        "",
        "| machine and versions | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in of.items()),
    ]
    for outcome in outcomes:
        lines += section(outcome)
    lines += gpu_recipe.page()
    if REMARKS.is_file():
        lines += ["", REMARKS.read_text(encoding="utf-8").strip()]
    return "\n".join(lines) + "\n"


def section(outcome: Outcome) -> list[str]:
    """One benchmark's table."""
    command = f"python benchmarks/{outcome.name}.py" + (" --quick" if outcome.quick else "")
    return [
        "",
        f"## {BENCHMARKS[outcome.name]}",
        "",
        f"`{command}`: {outcome.seconds:.0f} s; load average when it began {outcome.load}.",
        "",
        "| what | median | spread | bar | verdict |",
        "|---|---:|---|---|---|",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row(finding)) + " |" for finding in outcome.findings),
        *(f"\n{note}" for note in outcome.notes),
    ]


if __name__ == "__main__":
    main()
