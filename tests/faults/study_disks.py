"""Every stage on a disk without space or inodes, and where files are forbidden: one line, and nothing is lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile

from small_study import STAGES, SmallStudy, command, small_study

BAD = {"traceback", "half written", "lost", "left over"}
# Warnings, and how far a stage is.
BESIDE = re.compile(r"warning: |.+: [\d,]+ of [\d,]+ \(")
DISK_BYTES, DISK_FILES = 64 << 20, 2000
# Root may read and write everything, unless it lets go of that.
WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner")
# Which files of the study each stage reads.
READ = {
    "params": ["params.yaml"],
    "prompts": ["params.yaml"],
    "generate served": ["data/prompts/prompts.csv", "data/store/completions.sqlite", "data/store"],
    "judge served": ["data/generations/served", "data/generations"],
    "metrics": ["data/labels/served", "data/prompts"],
    "figures": ["data/metrics/per_prompt_metrics.csv", "data/metrics"],
    "report": ["data/metrics/summary.json", "reports/figures", "params.yaml"],
    "track": ["mlruns/mlflow.db", "mlruns", "mlruns/artifacts", "reports/figures", "data/store/completions.sqlite"],
}


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A disk of its own on a folder; whether this machine let us have one."""
    folder.mkdir()
    options = f"size={DISK_BYTES},nr_inodes={DISK_FILES}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)


def forbidding() -> tuple[str, ...] | None:
    """What makes a command heed permissions; None where this machine has no such thing."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        return None
    with NamedTemporaryFile() as file:
        Path(file.name).chmod(0)
        tried = subprocess.run([*WITHOUT_PRIVILEGES, "cat", file.name], capture_output=True, check=False)
    return WITHOUT_PRIVILEGES if b"Permission denied" in tried.stderr else None


class Broken:
    """A study that ran once, in which one thing at a time is taken away from a stage."""

    def __init__(self, small: SmallStudy) -> None:
        self.small = small
        self.counts: Counter[str] = Counter()
        for stage in STAGES:
            small.study.run(*command(stage))
        self.expected = small.files()

    def run(self, stage: str, what: str, before: Sequence[str] = ()) -> None:
        """Run a stage under a fault, and count what it said; nothing may be half written."""
        done = self.small.study.run(*before, *command(stage), check=False)
        said = [line for line in done.stderr.splitlines() if not BESIDE.match(line)]
        if done.returncode == 0:
            outcome = "went on"
        elif len(said) == 1 and said[0].startswith("error: "):
            outcome = "error in one line"
        else:
            outcome = "traceback"
        self.counts[f"{what.split(':')[0]}: {outcome}"] += 1
        self.counts["traceback"] += outcome == "traceback"
        if outcome == "traceback":
            print(f"disks: {stage}, {what}: {done.returncode}: {done.stderr[-800:]}", flush=True)
        elif os.environ.get("RS_SAY"):
            print(f"{stage}, {what}: {' '.join(said)}", flush=True)
        wrong = [name for name, content in self.small.files().items() if content != self.expected.get(name)]
        self.counts["half written"] += len(wrong)
        if wrong:
            print(f"disks: {stage}, {what}: half written: {wrong}", flush=True)

    def mend(self, stage: str, what: str) -> None:
        """The fault is gone: the same command again gives what it gave before."""
        done = self.small.study.run(*command(stage), check=False)
        found = self.small.files()
        lost = [name for name in self.expected if found.get(name) != self.expected[name]]
        left = self.small.left_over()
        self.counts["lost"] += len(lost) + (done.returncode != 0)
        self.counts["left over"] += len(left)
        if lost or left or done.returncode:
            print(f"disks: {stage}, after {what}: lost {lost}, left {left}: {done.stderr[-800:]}", flush=True)


def _forbid(broken: Broken, before: tuple[str, ...], stages: Sequence[str]) -> None:
    """Take a file or folder away from each stage: what it reads, then what it writes."""
    for stage in stages:
        written = [place if "." in place else f"{place}/." for place in STAGES[stage]]
        for place, mode in [(p, 0) for p in READ.get(stage, ())] + [(p, 0o555) for p in written]:
            path = broken.small.folder / place
            path = path.parent if path.is_file() and mode else path
            kept = path.stat().st_mode
            path.chmod(mode)
            try:
                broken.run(stage, f"forbidden: {place} {mode:o}", before)
            finally:
                path.chmod(kept)
        broken.mend(stage, "forbidden")


def _fill(broken: Broken, disk: Path, random: Random, tries: int, stages: Sequence[str]) -> None:
    """Leave each stage a little of the disk: bytes, then inodes."""
    fill = disk / "fill"
    for stage in stages:
        for what in ("full", "no inodes") * tries:
            fill.mkdir()
            if stage.startswith("generate"):
                broken.small.remove(["data/store"])
            if stage == "track" and random.random() < 0.5:
                broken.small.remove(["mlruns"])
            if random.random() < 0.5:
                broken.small.remove(STAGES[stage])
            state = os.statvfs(disk)
            if what == "full":
                left = random.choice([0, 1, 2, 4, 16, 64, 256, 800, 1500]) << 10
                with (fill / "bytes").open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, max(1, state.f_bavail * state.f_frsize - left))
            else:
                left = random.choice([0, 1, 2, 3, 5, 9, 20])
                for number in range(state.f_favail - left):
                    (fill / str(number)).touch()
            broken.run(stage, f"{what}: {left} left")
            shutil.rmtree(fill)
        broken.mend(stage, "a full disk")


def run(seed: int, tries: int, folder: Path, stages: Sequence[str] = tuple(STAGES)) -> Counter[str]:
    """Counts of what stages said, and of what was lost."""
    counts: Counter[str] = Counter()
    before = forbidding()
    with small_disk(folder / "disk") as mounted, small_study(folder / "disk" if mounted else folder) as small:
        broken = Broken(small)
        if mounted:
            _fill(broken, folder / "disk", Random(seed), tries, stages)
        else:
            print("disks: full disks and inodes skipped: this machine mounts no disk for us", file=sys.stderr)
        if before is None:
            print("disks: permissions skipped: root cannot let go of its rights here", file=sys.stderr)
        else:
            _forbid(broken, before, stages)
        counts += broken.counts
    return counts
