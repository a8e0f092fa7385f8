"""Which tables a side of a comparison means: a model, an intervention on it, or a whole study."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from refusal_stability.files import BASELINES, METRICS
from refusal_stability.records import NO_INTERVENTION, StudyError
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import METRIC_TABLES

GROUP = ["model", "intervention"]
BASELINE_MARK = "@"
BASELINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Side:
    """One side: where its tables lie, and which model and intervention (None: each that both sides have)."""

    name: str
    folder: Path
    model: str | None
    intervention: str

    @property
    def root(self) -> Path:
        """The checkout, or the baseline, that the tables belong to; their own folder where they lie alone."""
        return self.folder.parent.parent if self.folder.parts[-2:] == METRICS.parts else self.folder

    def same_as(self, other: Side) -> bool:
        """Whether both sides name the same rows of the same tables."""
        own, theirs = ((s.folder.resolve(), s.model, s.intervention) for s in (self, other))
        return own == theirs

    def rows(self) -> pd.DataFrame:
        """The side's per-prompt rows."""
        path, contract = METRIC_TABLES["per_prompt_metrics"]
        table = read_table(self.folder / path.name, contract)
        if table["estimated"].any():
            raise StudyError(
                f"{self.folder / path.name}: this study was sampled in rounds, so its prompts have unequal numbers of "
                "samples that no comparison of two sides allows for. Compare full grids: leave sampling.adaptive out "
                "and run `dvc repro metrics`, which asks for the rest only"
            )
        return table if self.model is None else group_rows(table, self.model, self.intervention, str(self.folder))


@dataclass(frozen=True)
class Pairing:
    """Two sides' rows of one model and intervention each; `name` is empty where the sides themselves name them."""

    name: str
    first: pd.DataFrame
    second: pd.DataFrame


def group_rows(table: pd.DataFrame, model: str, intervention: str, where: str) -> pd.DataFrame:
    """A metric table's rows of one model and intervention; an error names those that there are."""
    found = table[(table["model"] == model) & (table["intervention"] == intervention)]
    if found.empty:
        groups = table[GROUP].drop_duplicates().itertuples(index=False)
        known = ", ".join(f"{m}/{v}" for m, v in groups)
        raise StudyError(f"{where}: no {model}/{intervention} in its tables; there are {known or 'none'}")
    return found


def baseline_folder(name: str) -> Path:
    """Where a baseline is kept; a name that would be no plain folder is refused."""
    if BASELINE_NAME.fullmatch(name) is None:
        raise StudyError(f"{name!r} is no name of a baseline; use letters, digits, `.`, `_` and `-`, such as release-1")
    return BASELINES / name


def parse_side(text: str) -> Side:
    """`MODEL`, `MODEL/INTERVENTION`, `FOLDER:MODEL[/INTERVENTION]`, or `FOLDER` alone for a whole study.

    `@NAME` stands for the folder of a saved baseline.
    """
    if text.startswith(BASELINE_MARK):
        name, mark, model = text.removeprefix(BASELINE_MARK).partition(":")
        kept = baseline_folder(name)
        if not kept.is_dir():
            saved = sorted(entry.name for entry in BASELINES.iterdir() if entry.is_dir()) if BASELINES.is_dir() else []
            raise StudyError(
                f"{text}: no baseline {name!r}; saved are {', '.join(saved) or 'none'}; save one with "
                f"`refusal-stability baseline {name}`"
            )
        text = f"{kept}{mark}{model}"
    folder, colon, name = text.rpartition(":")
    if not colon and Path(text).is_dir():
        return Side(text, _tables_in(Path(text)), None, NO_INTERVENTION)
    model, _, intervention = name.partition("/")
    return Side(text, _tables_in(Path(folder)) if colon else METRICS, model, intervention or NO_INTERVENTION)


def _tables_in(folder: Path) -> Path:
    """The metrics folder itself, or that of a study's checkout."""
    name = METRIC_TABLES["per_prompt_metrics"][0].name
    for candidate in (folder, folder / METRICS):
        if (candidate / name).is_file():
            return candidate
    raise StudyError(f"{folder}: no {name} in it or in its {METRICS}; name a folder with a study's metric tables")


def pair_up(first: Side, second: Side) -> tuple[list[Pairing], list[str]]:
    """The rows to compare, and a line for each model and intervention that only one side has."""
    if (first.model is None) != (second.model is None):
        both = f"{first.name} and {second.name}"
        raise StudyError(f"{both}: compare a study with a study, or name a model on both sides (FOLDER:MODEL)")
    left, right = first.rows(), second.rows()
    if first.model is not None:
        return [Pairing("", left, right)], []
    ours, theirs = (_by_group(table) for table in (left, right))
    found = [Pairing(group, rows, theirs[group]) for group, rows in ours.items() if group in theirs]
    if not found:
        both = f"{first.name} and {second.name}"
        raise StudyError(f"{both}: no model and intervention in common; name one on each side (FOLDER:MODEL)")
    lonely = [
        f"Only in {letter}, and not compared: {group}"
        for letter, own, other in (("A", ours, theirs), ("B", theirs, ours))
        for group in own
        if group not in other
    ]
    return found, lonely


def _by_group(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each `model / intervention`, in the table's order."""
    return {" / ".join(map(str, group)): rows for group, rows in table.groupby(GROUP, sort=False)}
