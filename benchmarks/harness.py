"""What every benchmark shares: findings with bar and verdict, runs in turn, children's time and memory, the machine.

A benchmark is a module with `measure(quick)`; `main` runs it alone, `run_all.py` runs them all. Memory is in MB of
10^6 bytes, as the bars are.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What decides a figure: a change in these that no commit holds makes the commit "changed".
MEASURED = ("src", "benchmarks", "pyproject.toml", "requirements.lock", "requirements-vllm.lock")
ENVIRONMENT = {
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONUNBUFFERED": "1",
}
CHANGED = " with uncommitted changes"
# A child's peak memory is at least what its parent holds when it begins. So a tiny Python begins it and waits for it:
# its own peak is about 10 MB, whatever the benchmark holds. It writes what it saw to the descriptor it is given.
SHIM = """
import json, os, sys, time
start = time.perf_counter()
command = sys.argv[2:]
os.set_inheritable(int(sys.argv[1]), False)
child = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
found = [seconds, os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss]
os.write(int(sys.argv[1]), json.dumps(found).encode())
"""


@dataclass
class Finding:
    """One measured figure.

    Attributes
    ----------
    what : in words.
    values : one a run; the median counts. Empty where `skipped` says why there is none.
    unit : of the values.
    bar : what is asked of the median; None where the figure is only shown.
    at_least : whether the median may not be under the bar, or (False) not over it.
    bound : what takes the time and what the limit is; the page says it where the bar is missed.
    """

    what: str
    values: list[float]
    unit: str
    bar: float | None = None
    at_least: bool = False
    skipped: str = ""
    bound: str = ""

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        """`met`, `MISSED`, `skipped: why`, or nothing where there is no bar."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        if self.bar is None:
            return ""
        return "met" if (self.median >= self.bar) == self.at_least or self.median == self.bar else "MISSED"


@dataclass
class Measured:
    """Findings with remarks, and the versions of an environment other than this one."""

    findings: list[Finding]
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What one benchmark found, when, and with what.

    Attributes
    ----------
    when : day and minute at which it began, UTC.
    commit : of the project, followed by `CHANGED` where the measured files were changed since.
    versions : of the packages that the benchmark uses, in the environment that ran them.
    wait_policy : OMP_WAIT_POLICY, on which the speed of small models depends.
    failed : why there are no findings; empty where there are.
    """

    name: str
    findings: list[Finding]
    seconds: float
    load: str
    quick: bool
    notes: list[str] = field(default_factory=list)
    when: str = ""
    commit: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    wait_policy: str = ""
    failed: str = ""


def skipped(what: str, unit: str, why: str, bar: float | None = None, at_least: bool = False) -> Finding:
    """A figure that could not be measured here."""
    return Finding(what, [], unit, bar, at_least, why)


def in_turn(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run the ways A B C A B C ..., so that a machine whose speed drifts is unfair to none; figures by name."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        # Every other round backwards: what always runs first meets the coldest caches.
        for name in list(ways)[:: -1 if number % 2 else 1]:
            found[name].append(ways[name]())
    return found


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratio of each pair of runs of one round."""
    return [a / b for a, b in zip(above, below, strict=True)]


@dataclass
class Child:
    """A finished process: wall and CPU seconds, peak resident memory in MB (10^6 bytes), standard output and error."""

    seconds: float
    cpu: float
    mb: float
    out: str
    err: str


def run_child(command: Sequence[str], folder: Path = ROOT, **environment: str) -> Child:
    """Run a command to its end; one that fails ends the benchmark with what it said."""
    read, write = os.pipe()
    with Temporary() as out, Temporary() as err, os.fdopen(read) as told:
        shim = [sys.executable, "-S", "-c", SHIM, str(write), *command]
        process = subprocess.Popen(
            shim, cwd=folder, env=surroundings(environment), stdout=out.file, stderr=err.file, pass_fds=(write,)
        )
        os.close(write)
        process.wait()
        seen = told.read()
        seconds, status, cpu, peak = json.loads(seen) if seen else (0.0, process.returncode, 0.0, 0)
        if status != 0 or not seen:
            raise SystemExit(f"{' '.join(command)} failed ({status}):\n{out.read()[-2000:]}{err.read()[-2000:]}")
        # Linux counts kilobytes, macOS bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return Child(seconds, cpu, peak * unit / 1e6, out.read(), err.read())


class Temporary:
    """A temporary file that a child writes and we read: a pipe could fill up while we wait for its end."""

    def __enter__(self) -> Temporary:
        import tempfile

        self.file = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self) -> str:
        """All that was written."""
        self.file.seek(0)
        return self.file.read()


def surroundings(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: this project's code and commands first, telemetry off."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**inherited, "PATH": path, "PYTHONPATH": str(ROOT / "src"), **ENVIRONMENT, **(more or {})}


def stage_command(*arguments: str) -> list[str]:
    """`refusal-stability ...` under this Python."""
    return [sys.executable, "-m", "refusal_stability.cli", *arguments]


def copy_project(target: Path) -> Path:
    """A copy of the project as DVC needs it, without results, environments or history."""
    files = ("dvc.yaml", "pyproject.toml", "requirements.lock", "requirements-vllm.lock", ".dvcignore", ".dvc/config")
    for name in (*files, "data/raw", "data/published", "data/people", "data/sampled", "src"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "results")
            )
        elif source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    for folder in (ROOT / "models").iterdir():
        if folder.is_dir():
            (target / "models" / folder.name).mkdir(parents=True)
            (target / "models" / folder.name / "README.md").write_text("None is needed here.\n")
    run_child(["dvc", "config", "--local", "core.no_scm", "true"], target)
    return target


def machine() -> dict[str, str]:
    """What all figures depend on: processor, cores, memory, system, Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": str(cores),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def commit() -> str:
    """The project's commit, marked where what is measured was changed since; `no git` where there is none."""
    try:
        git = ["git", "-C", str(ROOT)]
        head = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True)
        changes = [*git, "status", "--porcelain", "--", *MEASURED]
        changed = subprocess.run(changes, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no git"
    return head.stdout.strip() + (CHANGED if changed else "")


def now() -> str:
    """This minute, UTC."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """The versions installed in this environment."""
    return {name: _version(name) for name in packages}


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def load() -> str:
    """The machine's load averages, as `uptime` shows them."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def shown(value: float) -> str:
    """A figure with three significant digits, or whole where it is large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row(finding: Finding) -> list[str]:
    """The cells of a finding: what, median, spread, bar, verdict."""
    bar = (
        "" if finding.bar is None else f"{'≥' if finding.at_least else '≤'} {shown(finding.bar)} {finding.unit}".strip()
    )
    if finding.skipped:
        return [finding.what, "", "", bar, finding.verdict]
    spread = f"{shown(min(finding.values))} to {shown(max(finding.values))}, {len(finding.values)} runs"
    if len(finding.values) == 1:
        spread = "1 run"
    return [finding.what, f"{shown(finding.median)} {finding.unit}".strip(), spread, bar, finding.verdict]


def bounds(findings: Sequence[Finding]) -> list[str]:
    """What bounds each figure that misses its bar, where the benchmark says."""
    return [f"Missed: {one.what}. {one.bound}" for one in findings if one.verdict == "MISSED" and one.bound]


def main(
    name: str, description: str, measure: Callable[[bool], list[Finding] | Measured], packages: Sequence[str] = ()
) -> None:
    """Run one benchmark from the command line; `packages` are those whose versions it depends on."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and single runs: shows that it works, no more"
    )
    parser.add_argument("--json", type=Path, help="write what was found into this file")
    options = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    outcome = Outcome(name, [], 0.0, load(), options.quick, when=now(), commit=commit())
    start = time.perf_counter()
    found = measure(options.quick)
    outcome.seconds = time.perf_counter() - start
    if isinstance(found, list):
        found = Measured(found)
    outcome.findings, outcome.notes = found.findings, found.notes
    outcome.versions = versions_of(packages) | found.versions
    outcome.wait_policy = os.environ["OMP_WAIT_POLICY"]
    for finding in outcome.findings:
        print("  ".join(cell for cell in row(finding) if cell))
    for note in [*bounds(outcome.findings), *outcome.notes]:
        print(note)
    if options.json:
        options.json.write_text(json.dumps(asdict(outcome), indent=1) + "\n", encoding="utf-8")


def outcome_from(text: str) -> Outcome:
    """Read what `main --json` wrote."""
    values = json.loads(text)
    return Outcome(**{**values, "findings": [Finding(**finding) for finding in values["findings"]]})
