"""Files that are imported together and say the same: a copy under another name would double every repeat."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from refusal_stability.exchange.logged import LoggedResponse
from refusal_stability.files import file_sha256

IDENTITY_BYTES = 8


def equal_files(files: Sequence[Path], beside: Callable[[Path], Path] | None = None) -> dict[Path, Path]:
    """Each file whose bytes an earlier one holds too -> that file.

    `beside` names the file that belongs to one. Two equal files are two runs where both have such a file and these
    differ: at temperature 0 a second run gives the same answers.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for file in files:
        by_size[file.stat().st_size].append(file)
    copies = {}
    for group in by_size.values():
        first: dict[tuple[str, str], Path] = {}
        for file in group if len(group) > 1 else ():
            content = file_sha256(file)
            run = file_sha256(beside(file)) if beside and beside(file).is_file() else ""
            earlier = first.get((content, run)) or next(
                (other for (theirs, its_run), other in first.items() if theirs == content and not (run and its_run)),
                None,
            )
            if earlier is None:
                first[content, run] = file
            else:
                copies[file] = earlier
    return copies


@dataclass
class FileContents:
    """What each file says, whatever its format and the order of its rows."""

    _sums: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, file: str, logged: LoggedResponse) -> int:
        """Add a record of a file; returns a number that equal records share."""
        identity = _identity(logged)
        count, total = self._sums.get(file, (0, 0))
        self._sums[file] = count + 1, total + identity
        return identity

    def copies(self) -> Mapping[str, str]:
        """Each file that says exactly what an earlier one says -> that file."""
        first: dict[tuple[int, int], str] = {}
        return {file: first[said] for file, said in self._sums.items() if first.setdefault(said, file) != file}


def _identity(logged: LoggedResponse) -> int:
    """A number for what a record says; the repeat is part of it only where the log gives it."""
    told = (
        logged.model,
        logged.prompt.prompt_id,
        [message.identity() for message in logged.prompt.conversation],
        None if logged.temperature is None else f"{logged.temperature:g}",
        None if logged.counted else logged.repeat,
        logged.text,
        logged.missing_reason,
        sorted((judge, label.label, label.repeat) for judge, label in logged.labels.items()),
    )
    digest = hashlib.blake2b(repr(told).encode("utf-8", "backslashreplace"), digest_size=IDENTITY_BYTES)
    return int.from_bytes(digest.digest(), "big", signed=True)
