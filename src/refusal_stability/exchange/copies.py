"""Files that are imported together and say the same: a copy would double every repeat, a run of its own is a repeat."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refusal_stability.exchange.logged import LoggedResponse
from refusal_stability.files import file_sha256

IDENTITY_BYTES = 8
# A number in a path, but for that of a copy such as `runs (1).csv`.
NUMBER = re.compile(r"(?<![(\d])\d+(?![\d)])")
# The time in a log's name, as lm-evaluation-harness writes it.
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d.-]+\d")
FORMAT_SUFFIXES = re.compile(r"(\.(csv|tsv|jsonl?|ndjson|parquet|xlsx?|gz|xz|bz2))+$", re.IGNORECASE)

OTHER_LABELS = "its labels differ (another judge's of the same responses need columns `judge` and `repeat`)"


@dataclass(frozen=True)
class Equal:
    """A file that says what another says; `own_run` tells why it is a run of its own, and is empty for a copy.

    `may_be_run` says whether a copy could also be a run of its own whose answers are all equal.
    """

    other: str
    own_run: str
    may_be_run: bool = True


def equal_files(
    files: Sequence[Path],
    beside: Callable[[Path], Path] | None = None,
    names_runs: bool = True,
    said_of: Callable[[Path], object] = lambda _: None,
) -> dict[str, Equal]:
    """Each file whose bytes an earlier one holds too -> that file.

    Two equal files may be two runs: at temperature 0 a second run gives the same answers. `beside` names the file that
    tells the run of a log; where there is none, the time in the log's name does. Of logs that name no run
    (`names_runs`), a number in the path does. Files of which the user says different things (`said_of`) are no copies.
    """
    by_size: dict[tuple[int, object], list[Path]] = defaultdict(list)
    telling = {beside(file) for file in files} if beside else set()
    for file in (file for file in files if file not in telling):
        by_size[file.stat().st_size, said_of(file)].append(file)
    found: dict[str, Equal] = {}
    for group in by_size.values():
        kept: dict[str, list[Path]] = defaultdict(list)
        for file in group if len(group) > 1 else ():
            earlier = kept[file_sha256(file)]
            told = {
                str(other): _other_run(file, other, beside)
                if beside
                else numbered_apart(file, other) * (not names_runs)
                for other in earlier
            }
            _add_equal(found, str(file), told, may_be_run=beside is not None or not names_runs)
            if all(told.values()):
                earlier.append(file)
    return found


def _add_equal(found: dict[str, Equal], file: str, told: dict[str, str], may_be_run: bool = True) -> None:
    """Enter a file that equals each of `told`, which says how it is told apart from these, as a copy or a run."""
    if told:
        other, reason = min(told.items(), key=lambda item: bool(item[1]))
        found[file] = Equal(other, reason, may_be_run)


def _other_run(file: Path, other: Path, beside: Callable[[Path], Path]) -> str:
    """How the files beside two equal logs, or the times in their names, tell that they are two runs."""
    about = [beside(one) for one in (file, other)]
    if all(one.is_file() for one in about) and file_sha256(about[0]) != file_sha256(about[1]):
        return f"{about[0].name} differs"
    times = [TIME.search(one.name) for one in (file, other)]
    return "the time in its name differs" if times[0] and times[1] and times[0][0] != times[1][0] else ""


def numbered_apart(file: Path, other: Path) -> str:
    """How numbers alone tell two paths apart, as in run1.csv and run2.csv; empty where they do not."""
    ours, theirs = (FORMAT_SUFFIXES.sub("", path.as_posix()) for path in (file, other))
    if ours == theirs or NUMBER.sub("#", ours) != NUMBER.sub("#", theirs):
        return ""
    return "a number in its name differs"


@dataclass
class _Content:
    """What one file says: sums over its records, of all that they say and of that without labels."""

    count: int = 0
    said: int = 0
    unlabelled: int = 0
    labels: int = 0
    is_numbered: bool = False
    beside: Counter[str] = field(default_factory=Counter)


@dataclass
class FileContents:
    """What each file says, whatever its format and the order of its rows."""

    _files: dict[str, _Content] = field(default_factory=dict)

    def add(self, file: str, logged: LoggedResponse) -> int:
        """Add a record of a file; returns a number that equal records share."""
        content = self._files.setdefault(file, _Content())
        labels = sorted((judge, label.label, label.repeat) for judge, label in logged.labels.items())
        unlabelled = _identity(logged)
        identity = _digest((unlabelled, labels))
        content.count += 1
        content.said += identity
        content.unlabelled += unlabelled
        content.labels += len(labels)
        content.is_numbered |= logged.repeat is not None and not logged.counted
        for name, value in logged.beside.items():
            content.beside[name] += hash((unlabelled, _canonical(value)))
        return identity

    def equal(self) -> dict[str, Equal]:
        """Each file whose responses are exactly those of another -> that file.

        Of a file without labels and one with the same responses and labels, the first is the copy. Where repeats are
        numbered, other labels are no matter: they join the responses.
        """
        kept: dict[tuple[int, ...], list[str]] = defaultdict(list)
        found: dict[str, Equal] = {}
        for file in sorted(self._files, key=lambda file: self._files[file].labels == 0):
            content = self._files[file]
            same = kept[content.count, content.unlabelled, content.said if content.is_numbered else 0]
            told = {other: self._told_apart(file, other) for other in same}
            _add_equal(found, file, told)
            if all(told.values()):
                same.append(file)
        return found

    def _told_apart(self, file: str, other: str) -> str:
        """How two files of equal responses are told apart: by other columns, by their names, or by their labels."""
        ours, theirs = self._files[file], self._files[other]
        columns = [name for name in ours.beside if name in theirs.beside and ours.beside[name] != theirs.beside[name]]
        if columns:
            return f"its column {columns[0]} differs"
        if ours.labels and ours.said != theirs.said:
            return OTHER_LABELS
        return numbered_apart(Path(file), Path(other))


def _canonical(value: Any) -> str:
    """A cell as every format of tables gives it."""
    if value is None or value != value:
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, sort_keys=True, default=str)
    text = str(value).strip().lower()
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def _identity(logged: LoggedResponse) -> int:
    """A number for what a record says beside its labels; the repeat is part of it only where the log gives it."""
    told = (
        logged.model,
        logged.prompt.prompt_id,
        [message.identity() for message in logged.prompt.conversation],
        None if logged.temperature is None else f"{logged.temperature:g}",
        None if logged.counted else logged.repeat,
        logged.text,
        logged.missing_reason,
    )
    return _digest(told)


def _digest(told: tuple[Any, ...]) -> int:
    digest = hashlib.blake2b(repr(told).encode("utf-8", "backslashreplace"), digest_size=IDENTITY_BYTES)
    return int.from_bytes(digest.digest(), "big", signed=True)
