"""What a format of logs is, and the register that each format enters under its own name.

A format is one file in `exchange/formats/`. Its function is marked with `@log_format(name, ...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from refusal_stability.exchange.logged import LoggedResponse
from refusal_stability.exchange.table_map import TableMap


@dataclass
class ImportOptions:
    """What the user says about the logs; `notes` collects what a reader could not place."""

    temperature: float | None = None
    table_map: TableMap = field(default_factory=TableMap)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a line for the user, once."""
        if text not in self.notes:
            self.notes.append(text)


HARNESS = 0  # the rank of a harness's own format
Reader = Callable[[Sequence[Path], ImportOptions], Iterator[LoggedResponse]]
Recogniser = Callable[[Path], bool]


@dataclass(frozen=True)
class LogFormat:
    """One registered format: `read` gives the responses of its files, `recognises` tells whether a file is one.

    Formats are tried in the order of `rank`, so that the general ones come last. `names_runs` says whether a log tells
    which run it is of, apart from its answers. `beside` gives the file that tells it for a log.
    """

    read: Reader
    recognises: Recogniser
    rank: int
    names_runs: bool
    beside: Callable[[Path], Path] | None


LOG_FORMATS: dict[str, LogFormat] = {}


def log_format(
    name: str,
    recognises: Recogniser,
    rank: int = HARNESS,
    names_runs: bool = True,
    beside: Callable[[Path], Path] | None = None,
) -> Callable[[Reader], Reader]:
    """Register the function below as the reader of the format `name`; see `LogFormat`."""

    def registered(read: Reader) -> Reader:
        LOG_FORMATS[name] = LogFormat(read, recognises, rank, names_runs, beside)
        return read

    return registered
