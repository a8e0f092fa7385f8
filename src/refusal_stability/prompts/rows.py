"""CSV, JSONL and JSON files, plain or compressed, as rows that know their place, so that every error can name it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from refusal_stability.records import StudyError

OPENERS: dict[str, Any] = {"": open, ".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
DELIMITERS = {".csv": ",", ".tsv": "\t"}
LARGEST_BLOCK = 2**31 - 1


class PromptSourceError(StudyError):
    """A prompt source that cannot be used: names the file, the row or column, and the remedy."""


@dataclass(frozen=True)
class Row:
    """One row of a prompt file; `place` reads like `prompts.csv: row 7` (in a table, row 1 is the header)."""

    place: str
    values: Mapping[str, Any]

    def text(self, column: str) -> str:
        """A column's text, word for word; anything else names its row and column."""
        value = self.values[column]
        if not isinstance(value, str):
            raise self.error(column, f"holds {type(value).__name__} {value!r}; a text is expected")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.error(column, "holds half a character (a lone surrogate); correct the text") from error
        return value

    def error(self, column: str, problem: str) -> PromptSourceError:
        """An error that names this row and one of its columns."""
        return PromptSourceError(f"{self.place}, column {column}: {problem}")


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Every row of a file, in order, with the named columns; the format is read off the file's name."""
    suffixes = [s.lower() for s in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in OPENERS else ""
    kind = suffixes[-1] if suffixes else ""
    if kind not in (*DELIMITERS, ".jsonl", ".ndjson", ".json"):
        raise PromptSourceError(
            f"{path}: the format cannot be told from the file's name; name it .csv, .tsv, .jsonl or .json, "
            f"with {', '.join(filter(None, OPENERS))} behind it if it is compressed"
        )
    with _readable(path), OPENERS[compression](path, "rb") as file:
        if kind in DELIMITERS:
            yield from _table_rows(path, file.read(), columns, DELIMITERS[kind])
        elif kind == ".json":
            yield from _json_rows(path, file.read(), columns)
        else:
            yield from _json_line_rows(path, file, columns)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    if not path.exists():
        raise PromptSourceError(f"{path}: no such file; check prompts.path (it is relative to the project's folder)")
    try:
        yield
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise PromptSourceError(
            f"{path}: could not be read ({reason}); check that it is a whole file and that you may read it"
        ) from error


def _decoded(data: bytes, place: Callable[[int], str]) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PromptSourceError(
            f"{place(line)}: not UTF-8 text (byte 0x{data[error.start]:02x}); save the file with the encoding UTF-8"
        ) from error


def _table_rows(path: Path, data: bytes, columns: Sequence[str], delimiter: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.csv

    text = _decoded(data, lambda line: f"{path}: line {line}")
    if not text.strip():
        raise PromptSourceError(f"{path}: the file is empty; give it a header with {', '.join(columns)} and rows")
    if text.count('"') % 2:
        raise PromptSourceError(f'{path}: a quotation mark is not closed; write a " inside a text as ""')
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(data),
            # One block, so that a text may be as long as it likes; one thread, so that errors name their row.
            pyarrow.csv.ReadOptions(block_size=min(len(data) + 1, LARGEST_BLOCK), use_threads=False),
            pyarrow.csv.ParseOptions(newlines_in_values=True, delimiter=delimiter),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())[:200]
        raise PromptSourceError(
            f"{path}: not a readable table: {reason}; quote texts that hold {delimiter!r}"
        ) from error
    found = table.column_names
    for column in columns:
        if found.count(column) != 1:
            problem = f"{found.count(column)} columns are named {column!r}" if column in found else _no_column(column)
            raise PromptSourceError(f"{path}: {problem}; found {', '.join(found)}")
    for number, values in enumerate(table.select(list(columns)).to_pylist(), start=2):
        yield Row(f"{path}: row {number}", values)


def _json_line_rows(path: Path, file: IO[bytes], columns: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        place = f"{path}: row {number}"
        text = _decoded(line, lambda _, place=place: place)  # type: ignore[misc]
        if text.strip():
            yield _json_row(_parsed(text, place), place, columns)


def _json_rows(path: Path, data: bytes, columns: Sequence[str]) -> Iterator[Row]:
    values = _parsed(_decoded(data, lambda line: f"{path}: line {line}"), str(path))
    if not isinstance(values, list):
        raise PromptSourceError(f"{path}: expected a list of objects, found {type(values).__name__}; or name it .jsonl")
    for number, value in enumerate(values, start=1):
        place = f"{path}: row {number}"
        yield _json_row(value, place, columns)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise PromptSourceError(f"{place}: not readable as JSON ({error}); correct or remove it") from error


def _json_row(value: Any, place: str, columns: Sequence[str]) -> Row:
    if not isinstance(value, dict):
        raise PromptSourceError(f"{place}: expected an object with named columns, found {type(value).__name__}")
    for column in columns:
        if column not in value:
            raise PromptSourceError(f"{place}: {_no_column(column)}; found {', '.join(value)}")
    return Row(place, {column: value[column] for column in columns})


def _no_column(column: str) -> str:
    return f"no column {column!r} (check prompts.columns and prompts.source)"
