"""Run every benchmark, or those named, and write reports/benchmarks.md with reports/benchmarks.json beside it.

`python benchmarks/run_all.py` (which `make bench` calls) takes about 25 minutes on 2 cores. Both files are written
after each benchmark. One that is not run keeps its part, with the commit and the minute that it is of, so that one can
be measured anew alone; one that fails loses it. `--quick` tries all of them out at small sizes, into a new folder.
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
from harness import ROOT, Outcome, bounds, commit, load, machine, now, outcome_from, row, surroundings

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
    "not_spent": "Calls and tokens not spent, published design",
}


def main() -> None:
    """Run the chosen benchmarks, then write the report. A benchmark that fails is named, and the others still run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, single runs: shows that all works")
    parser.add_argument(
        "--reports", type=Path, help="where benchmarks.md and .json go (reports; with --quick a new temporary folder)"
    )
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such benchmark; there are: {', '.join(BENCHMARKS)}")
    folder = options.reports or (Path(tempfile.mkdtemp(prefix="benchmarks-")) if options.quick else ROOT / "reports")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "benchmarks.json"
    known = kept(path, options.quick)
    for name in options.names or BENCHMARKS:
        print(f"== {name} (load {load()})", flush=True)
        known[name] = run(name, options.quick)
        write(path, [known[name] for name in BENCHMARKS if name in known])
    print(f"The page: {path.with_suffix('.md')}")
    failed = [name for name in options.names or BENCHMARKS if known[name].failed]
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed; see above. The others are in the report")


def write(path: Path, outcomes: list[Outcome]) -> None:
    """The JSON and the page, each put in place whole."""
    of = machine()
    texts = {
        path: json.dumps({"machine": of, "outcomes": [asdict(outcome) for outcome in outcomes]}, indent=1) + "\n",
        path.with_suffix(".md"): report(of, outcomes),
    }
    for file, text in texts.items():
        part = file.with_name(file.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(file)


def kept(path: Path, quick: bool) -> dict[str, Outcome]:
    """Earlier outcomes of the same kind (quick or not) on the same machine."""
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["machine"] != machine():
        return {}
    outcomes = [outcome_from(json.dumps(outcome)) for outcome in found["outcomes"]]
    return {outcome.name: outcome for outcome in outcomes if outcome.quick == quick}


def run(name: str, quick: bool) -> Outcome:
    """Run one benchmark as a process of its own; one that fails has an outcome that says so."""
    begun = Outcome(name, [], 0.0, load(), quick, when=now(), commit=commit())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(file), *(["--quick"] if quick else [])]
        done = subprocess.run(command, cwd=ROOT, env=surroundings(), check=False)
        if done.returncode == 0 and file.is_file():
            return outcome_from(file.read_text(encoding="utf-8"))
    begun.failed = f"it ended with status {done.returncode} and no figures"
    return begun


def report(of: dict[str, str], outcomes: list[Outcome]) -> str:
    """The page."""
    measured = [outcome for outcome in outcomes if not outcome.failed]
    quick = any(outcome.quick for outcome in outcomes)
    newest = max(outcomes, key=lambda outcome: outcome.when).commit if outcomes else ""
    verdicts = [finding.verdict for outcome in measured for finding in outcome.findings]
    missed = [f"{o.name}: {f.what}" for o in measured for f in o.findings if f.verdict == "MISSED"]
    failed = [outcome.name for outcome in outcomes if outcome.failed]
    absent = [name for name in BENCHMARKS if name not in {outcome.name for outcome in outcomes}]
    lines = [
        "# Benchmarks",
        "",
        "`make bench` writes this page. `make bench ARGS=NAME` renews one part. `python benchmarks/NAME.py` runs one",
        "benchmark and prints it. Figures are medians of several runs, with minimum and maximum. Alternatives take",
        "turns. MB and GB are 10^6 and 10^9 bytes. Parts may be of different days: each names its commit, time, load.",
        *(["", "**Quick sizes: these figures only show that the benchmarks work.**"] if quick else []),
        "",
        f"Bars met: {verdicts.count('met')}. Missed: {listed(missed, '; ')}."
        f" Skipped: {sum(v.startswith('skipped') for v in verdicts)}."
        f" Benchmarks that failed: {listed(failed)}; not measured: {listed(absent)}.",
        "",
        "| machine | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in of.items()),
    ]
    found = {outcome.name: outcome for outcome in outcomes}
    for name in BENCHMARKS:
        if name in found:
            lines += section(found[name], newest)
        else:
            lines += ["", f"## {BENCHMARKS[name]}", "", f"**NOT MEASURED** here: `make bench ARGS={name}`."]
    lines += gpu_recipe.page(ROOT / "reports")
    return "\n".join(lines) + "\n"


def listed(names: list[str], between: str = ", ") -> str:
    """How many, and which."""
    return f"{len(names)}" + (f" ({between.join(names)})" if names else "")


def section(outcome: Outcome, newest: str) -> list[str]:
    """One benchmark's table, with what it was measured with; marked where it is not of the newest commit."""
    command = f"python benchmarks/{outcome.name}.py" + (" --quick" if outcome.quick else "")
    head = ["", f"## {BENCHMARKS[outcome.name]}", ""]
    if outcome.failed:
        return [*head, f"**FAILED** at {outcome.when} UTC, commit {outcome.commit}: {outcome.failed}. `{command}`."]
    packages = ", ".join(f"{name} {version}" for name, version in outcome.versions.items())
    return [
        *head,
        f"`{command}`: {outcome.seconds:.0f} s, {outcome.when} UTC, commit {outcome.commit}; load average when it",
        f"began {outcome.load}; OMP_WAIT_POLICY {outcome.wait_policy}{'; ' + packages if packages else ''}.",
        *(
            ["", f"**Measured at another commit** ({outcome.commit}) than the newest figures on this page ({newest})."]
            if outcome.commit != newest
            else []
        ),
        "",
        "| what | median | spread | bar | verdict |",
        "|---|---:|---|---|---|",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row(finding)) + " |" for finding in outcome.findings),
        *(f"\n{note}" for note in [*bounds(outcome.findings), *outcome.notes]),
    ]


if __name__ == "__main__":
    main()
