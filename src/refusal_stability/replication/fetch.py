"""The published study's public data: from its repository at a pinned commit, or from a folder that holds part of it."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from refusal_stability.files import read_json, write_json
from refusal_stability.records import StudyError

PROMPTS = "data/processed/prompts.csv"
TABLES = ("data/results/generations", "data/results/labels")
SOURCE = "source.json"
GIT_SECONDS = 3600


class PublishedDataError(StudyError):
    """The published data cannot be had or used: says what was tried, and the remedy."""


def from_folder(folder: Path, target: Path) -> int:
    """Copy the study's files from a folder laid out like its repository; returns how many `target` holds then.

    A file that is the same already keeps its time, so that nothing downstream sees a change; one that the folder does
    not hold is removed from `target`.
    """
    wanted = _files(folder)
    if PROMPTS not in wanted or len(wanted) == 1:
        raise PublishedDataError(
            f"{folder}: holds no published study: expected {PROMPTS} and tables in {' and '.join(TABLES)}; give a "
            "clone of its repository or a folder that keeps its paths"
        )
    (target / SOURCE).unlink(missing_ok=True)
    for stray in _files(target) - wanted:
        (target / stray).unlink()
    for name in sorted(wanted):
        source, copy = folder / name, target / name
        if copy.is_file() and filecmp.cmp(source, copy, shallow=False):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = copy.with_name(f".{copy.name}.part")
        try:
            shutil.copyfile(source, part)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise PublishedDataError(
                f"{copy}: could not be copied from {source} ({error.strerror or error}); free some space or check "
                "the permissions, then run the same command again"
            ) from error
        part.replace(copy)
    return len(wanted)


def from_git(url: str, commit: str, target: Path) -> int:
    """Fetch the study's files at a commit with git; nothing is fetched where `target` holds them already."""
    note = target / SOURCE
    here = {"url": url, "commit": commit}
    if note.is_file() and {k: v for k, v in read_json(note).items() if k in here} == here:
        return len(_files(target))
    target.mkdir(parents=True, exist_ok=True)
    # An absolute path: git runs in another folder than this process.
    with tempfile.TemporaryDirectory(prefix=".clone-", dir=target.resolve()) as name:
        clone = Path(name)
        # The history without file contents where the server can do that, then the contents of what is wanted only.
        _git(clone.parent, "clone", "--quiet", "--no-checkout", "--filter=blob:none", "--", url, str(clone))
        full = _git(clone, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}").strip()
        listed = _git(clone, "ls-tree", "-r", "--name-only", "-z", full, "--", PROMPTS, *TABLES).split("\0")
        paths = [path for path in listed if path.endswith(".csv")]
        if paths:
            _git(clone, "checkout", "--quiet", full, "--", *paths)
        count = from_folder(clone, target)
    write_json({**here, "full_commit": full}, note)
    return count


def _files(folder: Path) -> set[str]:
    """The study's files below a folder, by their path in the repository."""
    found = {PROMPTS} if (folder / PROMPTS).is_file() else set()
    for table in TABLES:
        found |= {f"{table}/{file.name}" for file in (folder / table).glob("*.csv") if not file.name.startswith(".")}
    return found


def _git(folder: Path, *arguments: str | Sequence[str]) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        result = subprocess.run(
            ["git", *map(str, arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=GIT_SECONDS,
        )
    except FileNotFoundError as error:
        raise PublishedDataError(
            "git is not installed; install it, or give the data as a folder: make published PUBLISHED=path"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PublishedDataError(
            f"git {arguments[0]} took over {GIT_SECONDS} s; run it again, or give the data as a folder: "
            "make published PUBLISHED=path"
        ) from error
    if result.returncode != 0:
        reason = " ".join((result.stderr.strip() or f"exit code {result.returncode}").split())[-300:]
        raise PublishedDataError(
            f"git {arguments[0]} failed: {reason}; check the network, the address and the commit, or give the data "
            "as a folder: make published PUBLISHED=path"
        )
    return result.stdout
