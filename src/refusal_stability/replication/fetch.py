"""A published study's data: from its repository at a pinned commit, or from a folder that holds part of it."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from refusal_stability.exchange.collection import collecting
from refusal_stability.exchange.log_format import ImportOptions
from refusal_stability.exchange.read_logs import read_logs
from refusal_stability.exchange.recorded_files import write_recorded
from refusal_stability.files import DOWNLOADS, read_json, write_json
from refusal_stability.replication.source import PublishedDataError, Replication

SOURCE = "source.json"
GIT_SECONDS = 3600


def fetch_data(entry: Replication, folder: Path | None, tell: Callable[[str], None]) -> int:
    """Put the study's data where its study file expects them; returns how many files the source gave.

    A plain table is kept aside, and written as recorded responses and labels.
    """
    source = entry.source
    target = entry.data if source.table is None else DOWNLOADS / entry.name
    count = from_folder(entry, folder, target) if folder else from_git(entry, target)
    for line in other_versions(entry, target):
        tell(line)
    if source.table is not None:
        files = list(_files(target, source.files).values())
        with collecting() as collection:
            options = ImportOptions(table_map=source.table)
            read_logs(files, "tables", options, collection)
            collection.number_repeats()
            for judge, dropped in collection.drop_labels_of_failed().items():
                options.note(f"judge {judge}: {dropped} labels of missing responses left out: no decision")
            for line in options.notes:
                tell(line)
            write_recorded(collection, entry.data)
    return count


def other_versions(entry: Replication, folder: Path) -> list[str]:
    """A line on each file that is not the version whose figures are recorded."""
    lines = []
    for name, digest in entry.source.sha256.items():
        file = folder / name
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            lines.append(f"{file}: not the version whose figures {entry.figures} holds; they may differ")
    return lines


def from_folder(entry: Replication, folder: Path, target: Path) -> int:
    """Copy the study's files from a folder laid out like its repository; returns how many `target` holds then.

    A file that is the same already keeps its time, so that nothing downstream sees a change; one that the folder does
    not hold is removed from `target`.
    """
    wanted = _files(folder, entry.source.files)
    _check_needed(entry, folder, wanted)
    (target / SOURCE).unlink(missing_ok=True)
    for stray in _files(target, entry.source.files).keys() - wanted.keys():
        (target / stray).unlink()
    for name, source in sorted(wanted.items()):
        copy = target / name
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


def _check_needed(entry: Replication, folder: Path, wanted: Mapping[str, Path]) -> None:
    source = entry.source
    lacking = [name for name in source.needed if name not in wanted]
    beside = [pattern for pattern in source.files if pattern not in source.needed]
    if lacking or (beside and not wanted.keys() - set(source.needed)):
        expected = " and ".join(filter(None, [", ".join(source.needed), ", ".join(beside)]))
        raise PublishedDataError(
            f"{folder}: holds no published study: expected {expected}; give a clone of its repository or a folder that "
            "keeps its paths"
        )


def from_git(entry: Replication, target: Path) -> int:
    """Fetch the study's files at its commit with git; nothing is fetched where `target` holds them already."""
    source, note = entry.source, target / SOURCE
    here = {"url": source.url, "commit": source.commit}
    if note.is_file() and {k: v for k, v in read_json(note).items() if k in here} == here:
        return len(_files(target, source.files))
    target.mkdir(parents=True, exist_ok=True)
    git = partial(_git, entry)
    # Not below `target`, which DVC watches: a killed process leaves its clone.
    with tempfile.TemporaryDirectory(prefix="refusal-stability-clone-") as name:
        clone = Path(name)
        # The history without file contents where the server can do that, then the contents of what is wanted only.
        git(clone.parent, "clone", "--quiet", "--no-checkout", "--filter=blob:none", "--", source.url, str(clone))
        full = git(clone, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{source.commit}^{{commit}}").strip()
        listed = git(clone, "ls-tree", "-r", "--name-only", "-z", full).split("\0")
        paths = [path for path in listed if any(fnmatch(path, pattern) for pattern in source.files)]
        if paths:
            git(clone, "checkout", "--quiet", full, "--", *paths)
        count = from_folder(entry, clone, target)
    write_json({**here, "full_commit": full}, note)
    return count


def _files(folder: Path, patterns: Sequence[str]) -> dict[str, Path]:
    """The study's files below a folder: path in the repository -> file.

    A file that is named without a pattern may also lie in the folder itself.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        there = [file for file in folder.glob(pattern) if _is_of(folder, file) and not file.name.startswith(".")]
        found |= {file.relative_to(folder).as_posix(): file for file in there}
        if not there and "*" not in pattern and _is_of(folder, folder / Path(pattern).name):
            found[pattern] = folder / Path(pattern).name
    return found


def _is_of(folder: Path, file: Path) -> bool:
    """Whether a file is a regular one that lies in the folder, and not behind a link that leads elsewhere."""
    return file.is_file() and file.resolve().is_relative_to(folder.resolve())


def _git(entry: Replication, folder: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=GIT_SECONDS,
        )
    except FileNotFoundError as error:
        raise PublishedDataError(f"git is not installed; install it, or {entry.from_a_folder}") from error
    except subprocess.TimeoutExpired as error:
        raise PublishedDataError(
            f"git {arguments[0]} took over {GIT_SECONDS} s; run it again, or {entry.from_a_folder}"
        ) from error
    if result.returncode != 0:
        reason = " ".join((result.stderr.strip() or f"exit code {result.returncode}").split())[-300:]
        raise PublishedDataError(
            f"git {arguments[0]} failed: {reason}; check the network, the address and the commit, or "
            f"{entry.from_a_folder}"
        )
    return result.stdout
