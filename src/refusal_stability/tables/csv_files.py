"""The one reader and writer of tables, CSV or Parquet: checked against a contract; text round-trips exactly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.files import PARQUET, ArtifactError, atomic_write
from refusal_stability.tables.contract import KINDS, Contract
from refusal_stability.tables.parquet_files import parquet_columns, read_parquet, write_parquet
from refusal_stability.tables.spreadsheets import FORMULA_STARTS, guarded, unguarded

LARGEST_BLOCK = 2**31 - 1
# All that a column of plain numbers is written with.
PLAIN = {"number": re.compile(r"[0-9.e+-]*"), "whole": re.compile(r"[0-9-]*")}


def write_table(table: pd.DataFrame, path: Path, contract: Contract) -> None:
    """Write a table in its contract's column order, as the file's name says; `ArtifactError` where it breaks it."""
    import pyarrow.csv

    arrow = _as_written(table, path, contract)
    with atomic_write(path, "wb") as file:
        write_parquet(arrow, file) if path.suffix == PARQUET else pyarrow.csv.write_csv(arrow, file)


def write_in_parts(parts: Iterable[pd.DataFrame], path: Path, contract: Contract) -> None:
    """Write a CSV file of several tables below each other, holding one at a time.

    Each is checked by itself, so the parts have to differ in a column of the contract's key.
    """
    import pyarrow as pa
    import pyarrow.csv

    schema = pa.schema([(name, pa.type_for_alias(KINDS[kind])) for name, kind in contract.columns.items()])
    with atomic_write(path, "wb") as file, pyarrow.csv.CSVWriter(file, schema) as writer:
        for part in parts:
            writer.write_table(_as_written(part, path, contract))


def _as_written(table: pd.DataFrame, path: Path, contract: Contract) -> Any:
    """A checked table as arrow's, with its texts as they stand in a file."""
    import pyarrow as pa

    checked = _checked(table, str(path), contract)
    try:
        arrow = pa.table({name: _as_arrow(checked[name].to_numpy(), kind) for name, kind in contract.columns.items()})
    except (UnicodeEncodeError, pa.ArrowInvalid) as error:
        raise ArtifactError(f"{path}: a text cannot be written as UTF-8: {error}") from error
    return _each_text(arrow, contract, guarded) if contract.opened_by_people else arrow


def _as_arrow(values: np.ndarray[Any, Any], kind: str) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, pa.type_for_alias(KINDS[kind]), from_pandas=True)
    except pa.ArrowTypeError:  # a column of texts that are all numbers
        return pa.array(values, from_pandas=True)


def read_table(path: Path, contract: Contract) -> pd.DataFrame:
    """Read a table and hold it to its contract: columns, kinds, unique keys.

    Raises
    ------
    ArtifactError
        Naming the file, the first row or column at fault, and the remedy.
    """
    table = read_table_so_far(path, contract)
    if table is None:
        raise ArtifactError(f"{path}: no such file; run the stage that writes it (`dvc repro`)")
    return table


def read_table_so_far(path: Path, contract: Contract) -> pd.DataFrame | None:
    """What `read_table` reads; None where there is no file, also when DVC removes it at this moment."""
    import pyarrow as pa

    if not path.is_file():
        return None
    # All as text first, so that a value of the wrong kind is named with its row instead of failing inside the parser.
    try:
        raw = read_arrow(path, dict.fromkeys(contract.columns, pa.string()))
    except FileNotFoundError:
        return None
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{path}: not a readable {contract.name} table: {error}; delete it, and `dvc repro` writes it again"
        ) from error
    if contract.opened_by_people:
        raw = _each_text(raw, contract, unguarded)
    return _checked(raw.to_pandas(), str(path), contract)


def _each_text(table: Any, contract: Contract, change: Callable[[str], str]) -> Any:
    """An arrow table with `guarded` or `unguarded` texts.

    Only columns with a text that begins like a formula are gone through: of millions of rows, looking at each text took
    half of the metrics stage.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    starts = pa.array(["'", *FORMULA_STARTS])
    for place, name in enumerate(table.column_names):
        column = table[name]
        if contract.columns.get(name) != "text" or not pa.types.is_string(column.type):
            continue
        if pc.any(pc.is_in(pc.utf8_slice_codeunits(column, 0, 1), value_set=starts)).as_py():
            texts = [None if text is None else change(text) for text in column.to_pylist()]
            table = table.set_column(place, name, pa.array(texts, pa.string()))
    return table


def column_names(path: Path) -> list[str]:
    """The names in a table's header."""
    if path.suffix == PARQUET:
        return parquet_columns(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return file.readline().strip().replace('"', "").split(",")


def read_arrow(path: Path, types: Mapping[str, Any], columns: Sequence[str] | None = None) -> Any:
    """A table as arrow's, with fields of any length: each column of `types` as such; `columns` only, where given.

    Arrow reads CSV block by block, and no row may be longer than two blocks. A file with such a row is read as one.
    """
    import pyarrow as pa
    import pyarrow.csv

    if path.suffix == PARQUET:
        return read_parquet(path, types, columns)
    options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False, include_columns=columns)
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    try:
        return pyarrow.csv.read_csv(path, parse_options=parsing, convert_options=options)
    except pa.ArrowInvalid as error:
        if "block" not in str(error):
            raise
    whole = pyarrow.csv.ReadOptions(block_size=min(path.stat().st_size + 1, LARGEST_BLOCK))
    return pyarrow.csv.read_csv(path, whole, parsing, options)


def _checked(table: pd.DataFrame, where: str, contract: Contract) -> pd.DataFrame:
    lacking = {name: values for name, values in contract.older.items() if name not in table.columns}
    table = table.assign(**lacking) if lacking else table
    missing = [c for c in contract.columns if c not in table.columns]
    unknown = [c for c in table.columns if c not in contract.columns]
    if missing or unknown:
        found = ", ".join(map(str, table.columns))
        problem = "; ".join(
            ([f"missing column {', '.join(missing)}"] if missing else [])
            + ([f"unknown column {', '.join(map(str, unknown))}"] if unknown else [])
        )
        raise ArtifactError(
            f"{where}: {problem}; found {found}; a {contract.name} table has {', '.join(contract.columns)}"
        )
    typed = pd.DataFrame(
        {name: _as_kind(table[name], kind, where, name) for name, kind in contract.columns.items()},
        index=pd.RangeIndex(len(table)),
        copy=False,
    )
    if contract.key:
        repeated = typed.duplicated(list(contract.key), keep=False)
        if repeated.any():
            first = typed.loc[repeated.to_numpy(), list(contract.key)].iloc[0]
            same = (typed[list(contract.key)] == first).all(axis=1).to_numpy()
            rows = [int(i) + 2 for i in same.nonzero()[0][:5]]
            name = ", ".join(f"{k} {v}" for k, v in first.items())
            raise ArtifactError(f"{where}: rows {rows} share the key {name}; each {contract.name} row must be unique")
    return typed


def _as_kind(column: pd.Series[Any], kind: str, where: str, name: str) -> np.ndarray[Any, Any]:
    """A column's values as their kind; those that are so already are not copied."""
    if kind == "text":
        return column.to_numpy(object)
    text = column if column.dtype == object else None
    if kind != "flag" and (plain := _plain_numbers(column, kind)) is not None:
        return plain
    if kind == "flag":
        if text is None:
            return column.to_numpy(bool)
        bad = ~text.isin(["true", "false", True, False])
        values: pd.Series[Any] = text.isin(["true", True])
    else:
        values = pd.to_numeric(column if text is None else text.replace("", None), errors="coerce")
        absent = values.isna()
        if text is not None and kind == "number":
            # `to_numeric` loses the last bit of one number in twenty or so.
            values = values.astype(np.float64)
            values[~absent] = text[~absent].to_numpy().astype(np.float64)
        bad = absent & (column.notna() if text is None else ~text.isin(["", None]) & text.notna())
        if kind == "whole":
            bad = bad | absent | (values % 1 != 0)
    if bad.any():
        row = int(bad.to_numpy().argmax())
        noun = "whole number" if kind == "whole" else kind
        raise ArtifactError(f"{where}: row {row + 2}, column {name}: {column.iloc[row]!r} is not a {noun}")
    dtype: Any = KINDS[kind]
    return values.astype(dtype).to_numpy()


def _plain_numbers(column: pd.Series[Any], kind: str) -> np.ndarray[Any, Any] | None:
    """A column's values where each is written as plainly as this project writes numbers; None where one is not.

    The check of any text, which also finds the row at fault, took five sixths of the time that reading a small study's
    tables took.
    """
    values = column.to_numpy()
    if values.dtype == KINDS[kind]:
        return values
    if values.dtype != object:
        return None
    try:
        if not PLAIN[kind].fullmatch("".join(values)):
            return None
        plain = np.where(values == "", "nan", values).astype(KINDS[kind])
    except (TypeError, ValueError, OverflowError):
        return None
    return None if np.isinf(plain).any() else plain
