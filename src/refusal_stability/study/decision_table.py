"""Any table of decisions as a dense array for each model, intervention and judge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from refusal_stability.files import ArtifactError
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.records import ANY_DECISION, DECISIONS, MISSING, Decision
from refusal_stability.tables.user_files import READERS, read_frame

NEEDED = ("prompt_id", "seed", "label")
GROUPED = ("model", "intervention", "judge")
ONE_TEMPERATURE = "1.0"  # of a table that names none; its value plays no part where it is the only one


@dataclass(frozen=True)
class DecisionTable:
    """One group's complete grid.

    Attributes
    ----------
    name : model, intervention and judge, as far as the table names them.
    temperatures : T of them, in rising order.
    codes : (P, T, S) decision codes, `MISSING` where there is none.
    n_absent : cells of the grid for which the table has no row.
    """

    name: str
    temperatures: tuple[float, ...]
    codes: Codes
    n_absent: int


def decision_tables(
    paths: Sequence[Path],
    columns: Mapping[str, str],
    decide: Callable[[str], Decision | None],
    missing: Collection[str] = (),
) -> list[DecisionTable]:
    """Read files, or folders of files, of which each row is one labelled response.

    `columns` maps ours to the files' names. `decide` gives the decision of a label; an empty label, or one of
    `missing`, is none.
    """
    files = [file for path in paths for file in _files(path)]
    table = pd.concat([_read(file, columns) for file in files], ignore_index=True)
    names, known = table["label"].unique(), {}
    for name in names:
        decision = decide(name)
        if decision is None and name.strip() and name not in missing:
            place = table.loc[table["label"] == name, "place"].iloc[0]
            raise ArtifactError(
                f"{place}: label {name!r} is not {ANY_DECISION}; say what it means with --label '{name}=COMPLY' (or "
                f"the decision that it means), or --missing '{name}'"
            )
        known[name] = MISSING if decision is None else DECISIONS.index(decision)
    table["code"] = table["label"].map(known)
    groups = table.groupby(list(GROUPED), sort=True)
    return [_grid(" ".join(str(part) for part in name if part), rows) for name, rows in groups]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if any(suffix in READERS for suffix in file.suffixes))
    if not found:
        raise ArtifactError(f"{path}: holds no table; name a folder with files like {', '.join(READERS)}")
    return found


def _read(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    found = read_frame(path)
    if found.empty:
        raise ArtifactError(f"{path}: holds no labelled response; give a table with a row for each")
    absent = [columns.get(name, name) for name in NEEDED if columns.get(name, name) not in found.columns]
    if absent:
        raise ArtifactError(
            f"{path}: no column {', '.join(absent)}; found {', '.join(found.columns)}; name them with --column, e.g. "
            "--column seed=trial"
        )
    wanted = (*NEEDED, *GROUPED, "temperature", "repeat")
    blank = {"temperature": ONE_TEMPERATURE, "repeat": "0"}
    parts = {
        name: found[columns.get(name, name)] if columns.get(name, name) in found.columns else blank.get(name, "")
        for name in wanted
    }
    table = pd.DataFrame(parts, index=found.index)
    table["place"] = [f"{path}: row {number}" for number in found.index]
    # The first repeat of a judge is what feeds the metrics.
    table = table[table["repeat"].isin(["0", ""])].copy()
    numbers = pd.to_numeric(table["temperature"], errors="coerce")
    if numbers.isna().any():
        row = table[numbers.isna()].iloc[0]
        raise ArtifactError(f"{row['place']}: temperature {row['temperature']!r} is not a number; correct it")
    table["temperature"] = numbers
    return table


def _grid(name: str, rows: pd.DataFrame) -> DecisionTable:
    cells = ["prompt_id", "temperature", "seed"]
    if (twice := rows.duplicated(cells)).any():
        again = rows[twice].iloc[0]
        raise ArtifactError(
            f"{again['place']}: a second label of prompt {again['prompt_id']!r} at temperature "
            f"{again['temperature']:g}, seed {again['seed']}; keep one, or name the column that tells them apart with "
            "--column model=NAME or --column judge=NAME"
        )
    places = [pd.Categorical(rows[cell]) for cell in cells]
    codes = np.full([len(place.categories) for place in places], MISSING, dtype=np.int8)
    codes[tuple(place.codes for place in places)] = rows["code"].to_numpy()
    temperatures = tuple(float(value) for value in places[1].categories)
    return DecisionTable(name or "all rows", temperatures, codes, codes.size - len(rows))
