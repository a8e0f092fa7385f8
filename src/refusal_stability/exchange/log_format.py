"""What a format of logs is, and the register that each format enters under its own name.

A format is one file in `exchange/formats/`. Its function is marked with `@log_format(name, ...)`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refusal_stability.exchange.exported_study import ExportedStudy
from refusal_stability.exchange.logged import LoggedResponse
from refusal_stability.exchange.table_map import OneTable, TableMap
from refusal_stability.prompts.identity import UNCATEGORISED, joined_categories


@dataclass
class ImportOptions:
    """What the user says about the logs; `notes` collects what a reader could not place.

    `studies` are those that exports of this project describe, by the place of the description.
    `equal_files` says what files with equal answers are: RUNS, ONCE, or, where it is None, what tells them apart.
    `used` names the constants that filled something, `overruled` counts what a log says instead of each value.
    """

    temperature: float | None = None
    equal_files: str | None = None
    table_map: TableMap = field(default_factory=TableMap)
    notes: list[str] = field(default_factory=list)
    studies: dict[str, ExportedStudy | None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    overruled: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _maps: dict[Path, OneTable] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Keep a line for the user, once."""
        if text not in self.notes:
            self.notes.append(text)

    def map_of(self, path: str | Path) -> OneTable:
        """What the user says of one file, its temperature included."""
        path = Path(path)
        if path not in self._maps:
            found = self.table_map.of_table(path)
            if self.temperature is not None and "temperature" not in self.table_map.told_by_name(path):
                found = replace(found, constants={**found.constants, "temperature": self.temperature})
            self._maps[path] = found
        return self._maps[path]

    def note_names(self, files: Sequence[Path]) -> None:
        """Tell what the names of files say, and which say nothing."""
        template = self.table_map.files
        told = {file: self.table_map.told_by_name(file) for file in files} if template else {}
        said = [
            f"{file} ({', '.join(f'{name} {value}' for name, value in found.items())})"
            for file, found in told.items()
            if found
        ]
        silent = [str(file) for file, found in told.items() if not found]
        for names, words in ((said, "by their names"), (silent, "names not of this form, which say nothing")):
            others = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            if names:
                self.note(f"--files {template}: {words}: {', '.join(names[:MOST_NAMED])}{others}")

    def said_of(self, path: Path) -> object:
        """What the user says of one file and not of all: two equal files of different models are no copies."""
        return tuple(sorted((name, str(value)) for name, value in self.map_of(path).constants.items()))

    def filled(self, logged: LoggedResponse, file: str = "") -> LoggedResponse:
        """A response with the constants, and with what its file's name tells, where its log does not say it."""
        given = self.map_of(file).constants
        self._count_overruled(logged, file)
        if logged.temperature is None and "temperature" in given:
            logged = replace(logged, temperature=float(given["temperature"]))
        if not given:
            return logged
        blank: dict[str, str] = dict.fromkeys(ABOUT_PROMPT, "") | {"category": UNCATEGORISED}
        about: dict[str, Any] = {
            name: str(given[name]) for name in blank if name in given and getattr(logged.prompt, name) == blank[name]
        }
        if about:
            logged = replace(logged, prompt=replace(logged.prompt, **about))
        if not logged.model and "model" in given:
            logged = replace(logged, model=str(given["model"]))
            self.used.add("model")
        self.used |= about.keys()
        return logged

    def _count_overruled(self, logged: LoggedResponse, file: str) -> None:
        given, told = self.map_of(file).constants, self.table_map.told_by_name(file)
        about = {"model": logged.model, "category": logged.prompt.category.replace(UNCATEGORISED, "")}
        about |= {name: getattr(logged.prompt, name) for name in ABOUT_PROMPT}
        for name, said in about.items():
            if name in given and said not in ("", str(given[name]), joined_categories([str(given[name])])):
                self._overruled(name, told)[said] += 1
        hot, by_user = logged.temperature, given.get("temperature")
        if hot is not None and by_user is not None and f"{hot:g}" != f"{float(by_user):g}":
            self._overruled("temperature", told)[f"{hot:g}"] += 1

    def _overruled(self, name: str, told: Mapping[str, str]) -> Counter[str]:
        """What logs say instead of a value; `told` is what the file's name says."""
        if name in told:
            return self.overruled[name, f"--files {self.table_map.files} ({name} {told[name]})"]
        if name == "temperature" and self.temperature is not None:
            return self.overruled[name, f"--temperature {self.temperature:g}"]
        return self.overruled[name, f"--constant {name}={self.table_map.constants.get(name)}"]

    def note_unused(self, formats: Collection[str]) -> None:
        """Tell what the user says and a log says otherwise, or what could not be used."""
        for (_, ours), said in self.overruled.items():
            others = f" and {len(said) - MOST_SAID} more" if len(said) > MOST_SAID else ""
            self.note(
                f"{ours}: not used for {said.total()} record{'s' * (said.total() > 1)}; the log counts, which says "
                f"{', '.join(one for one, _ in said.most_common(MOST_SAID))}{others}"
            )
        if TABLES in formats:
            return
        chosen = self.table_map
        if chosen.columns or chosen.responses or chosen.judges or chosen.tables:
            self.note("Columns and judges of a map are those of plain tables, and there is none here: not used")
        for name in chosen.constants.keys() - self.used - {name for name, _ in self.overruled} - {"temperature"}:
            self.note(
                f"--constant {name}={chosen.constants[name]}: not used, since these logs say it, or hold no such column"
            )

    def add_study(self, place: str, study: ExportedStudy | None) -> None:
        """Keep what an export says of its study; None where it says nothing."""
        self.studies[place] = study


RUNS, ONCE = "runs", "once"
TABLES = "tables"  # the format of plain tables
ABOUT_PROMPT = ("source", "harm", "language", "intent")
MOST_SAID = 3
MOST_NAMED = 5
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
