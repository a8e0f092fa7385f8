"""Files that users and other projects wrote, as rows that know their place, so that every error can name it.

Read are CSV, TSV, JSON, JSON lines and plain text, each also compressed, and Parquet and Excel. The format follows
from the file's name.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from refusal_stability.files import ArtifactError, json_fault
from refusal_stability.tables.delimited_text import numbered_rows
from refusal_stability.tables.parquet_batches import parquet_rows

if TYPE_CHECKING:
    import pandas as pd

OPENERS: dict[str, Any] = {"": open, ".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
DELIMITERS = {".csv": ",", ".tsv": "\t"}
OTHER_DELIMITERS = ";\t|"
# The line that tells Excel the delimiter, and a field in quotation marks.
SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)
QUOTED = re.compile(r'"[^"\n]*"')
# No line may be longer, and no file that is read at once may unpack to more.
LONGEST_LINE = 128 * 2**20
LARGEST_WHOLE = 2**30
# Of a header, in letters of a message.
MOST_LISTED = 1000


@dataclass(frozen=True)
class UserRow:
    """One row of a file; `place` reads like `prompts.csv: row 7` (in a table, row 1 is the header)."""

    file: str
    number: int
    values: Mapping[str, Any]

    @property
    def place(self) -> str:
        """The file and the row's number."""
        return f"{self.file}: row {self.number}"

    def text(self, column: str) -> str:
        """A column's text, word for word; anything else is an error that names its row and column."""
        return self.checked(self.values[column], column)

    def checked(self, value: Any, column: str) -> str:
        """A value from a column as a text that every table can hold."""
        if not isinstance(value, str):
            what = "nothing (null)" if value is None else f"{type(value).__name__} {value!r}"
            raise self.error(column, f"holds {what}; a text is expected")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.error(column, "holds half a character (a lone surrogate); correct the text") from error
        return value

    def error(self, column: str, problem: str) -> ArtifactError:
        """An error that names this row and one of its columns."""
        return ArtifactError(f"{self.place}, column {column}: {problem}")


def read_rows(path: Path, columns: Sequence[str], named_by: str = "prompts.columns") -> Iterator[UserRow]:
    """Every row of a file, in order, with the named columns.

    A file of plain texts (`.txt`, or JSON that lists texts) has no column names: its texts are the first column asked
    for. `named_by` is the parameter that names the columns, for error messages.
    """
    for position, row in enumerate(_rows(path, columns[0])):
        if column := next((c for c in columns if c not in row.values), None):
            place, found = row.place if position else path, ", ".join(row.values)
            raise ArtifactError(f"{place}: no column {column!r} (check {named_by}); found {found}")
        yield UserRow(row.file, row.number, {column: row.values[column] for column in columns})


def every_row(path: Path) -> Iterator[UserRow]:
    """Every row of a file, in order, with all its columns; a file of plain texts has the column `text`."""
    return _rows(path, "text")


def first_columns(path: Path) -> list[str]:
    """The names of the columns that a file's first row has."""
    first = next(_rows(path, "prompt"), None)
    if first is None:
        raise ArtifactError(f"{path}: has no row; give it a header and rows")
    return list(first.values)


def read_frame(path: Path) -> pd.DataFrame:
    """A whole file as a table of texts, indexed by row number; what is no text stands as JSON, and null is empty."""
    import pandas as pd

    rows = list(_rows(path, "text"))
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    cells = {name: [_cell(row.values.get(name)) for row in rows] for name in names}
    return pd.DataFrame(cells, index=[row.number for row in rows], dtype=object)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _rows(path: Path, only_column: str) -> Iterator[UserRow]:
    suffixes = [s.lower() for s in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in OPENERS else ""
    kind = suffixes[-1] if suffixes else ""
    if kind not in READERS:
        raise ArtifactError(
            f"{path}: the file's name does not tell its format; name it {', '.join(READERS)}, with "
            f"{', '.join(filter(None, OPENERS))} behind it if it is compressed"
        )
    with _readable(path), OPENERS[compression](path, "rb") as file:
        for number, values in READERS[kind](path, file):
            if isinstance(values, str | list):
                values = {only_column: values}
            if not isinstance(values, dict):
                found = type(values).__name__
                raise ArtifactError(f"{path}: row {number}: expected an object or a text, found {found}")
            yield UserRow(str(path), number, values)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    if not path.exists():
        raise ArtifactError(f"{path}: no such file; check its path (it is relative to the project's folder)")
    try:
        yield
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(
            f"{path}: could not be read ({reason}); check that the file is complete and that you may read it"
        ) from error


def _decoded(data: bytes, place: Callable[[int], str]) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ArtifactError(
            f"{place(line)}: not UTF-8 text (byte 0x{data[error.start]:02x}); save the file with the encoding UTF-8"
        ) from error


def _whole(path: Path, file: IO[bytes]) -> bytes:
    content = file.read(LARGEST_WHOLE + 1)
    if len(content) > LARGEST_WHOLE:
        raise ArtifactError(
            f"{path}: more than {LARGEST_WHOLE // 2**20:,} MB; write it as JSON lines (.jsonl), read line by line"
        )
    return content


def _from_table(path: Path, file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    delimiter = next(DELIMITERS[s.lower()] for s in reversed(path.suffixes) if s.lower() in DELIMITERS)
    text = _decoded(_whole(path, file), lambda line: f"{path}: line {line}")
    told = SEPARATOR_LINE.match(text)
    head = QUOTED.sub("", text[told.end() if told else 0 :].partition("\n")[0])
    if told:
        delimiter = told[1]
    elif delimiter not in head:
        # Excel writes semicolons where the comma is a decimal mark.
        delimiter = next((other for other in OTHER_DELIMITERS if other in head), delimiter)
    rows = numbered_rows(text, delimiter, str(path))
    if told:
        next(rows)
    _, header = next(rows, (0, [""]))
    if header == [""]:
        raise ArtifactError(f"{path}: the file is empty; give it a header and rows")
    _check_header(path, header)
    for number, row in rows:
        if len(row) != len(header):
            raise ArtifactError(
                f"{path}: row {number}: {len(row)} values, but the header names {len(header)} columns; put a text "
                f"that holds {delimiter!r} in quotation marks"
            )
        yield number, dict(zip(header, row, strict=True))


def _check_header(path: Path, header: Sequence[str]) -> None:
    repeated = next(((name, count) for name, count in Counter(header).items() if name and count > 1), None)
    if repeated is not None:
        raise ArtifactError(
            f"{path}: {repeated[1]} columns are named {repeated[0]!r}; found {', '.join(header)[:MOST_LISTED]}"
        )


def _from_json_lines(path: Path, file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), start=1):
        place = f"{path}: row {number}"
        if len(line) > LONGEST_LINE:
            raise ArtifactError(
                f"{place}: longer than {LONGEST_LINE // 2**20} MB; put each record on a line of its own"
            )
        text = _decoded(line, lambda _, place=place: place)  # type: ignore[misc]
        if text.strip():
            yield number, _parsed(text, place)


def _from_json(path: Path, file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    values = _parsed(_decoded(_whole(path, file), lambda line: f"{path}: line {line}"), str(path))
    if not isinstance(values, list):
        raise ArtifactError(f"{path}: expected a list of objects or texts, found {type(values).__name__}")
    yield from enumerate(values, start=1)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{place}: not readable as JSON ({json_fault(error)}); correct or remove it") from error


def _from_text(path: Path, file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    lines = _decoded(_whole(path, file), lambda line: f"{path}: line {line}").split("\n")
    yield from ((number, line.removesuffix("\r")) for number, line in enumerate(lines, start=1) if line.strip())


def _from_parquet(path: Path, file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        content = _whole(path, file)
        table = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        _check_header(path, table.schema_arrow.names)
        yield from enumerate(parquet_rows(path, table, len(content)), start=2)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{path}: not readable as Parquet: {reason}; fetch or write it again") from error


def _from_excel(path: Path, file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    import pandas as pd

    try:
        sheet = pd.read_excel(io.BytesIO(_whole(path, file)), dtype=str, na_filter=False)
    except ImportError as error:
        raise ArtifactError(
            f"{path}: pandas needs another package to read Excel files ({' '.join(str(error).split())[:120]}); "
            "install it, or save the sheet as 'CSV UTF-8'"
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{path}: not readable as Excel: {reason}; save the sheet as 'CSV UTF-8'") from error
    if all(str(name).startswith("Unnamed: ") for name in sheet.columns):
        raise ArtifactError(f"{path}: the first row of the first sheet names no column; begin the table in that row")
    for number, row in enumerate(sheet.to_dict("records"), start=2):
        if any(row.values()):
            yield number, {str(name): value for name, value in row.items()}


READERS: dict[str, Callable[[Path, IO[bytes]], Iterator[tuple[int, Any]]]] = {
    ".csv": _from_table,
    ".tsv": _from_table,
    ".jsonl": _from_json_lines,
    ".ndjson": _from_json_lines,
    ".json": _from_json,
    ".txt": _from_text,
    ".parquet": _from_parquet,
    ".xlsx": _from_excel,
    ".xls": _from_excel,
}
