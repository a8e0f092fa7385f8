"""Tables as Parquet files, which is how large ones are written: the same text back as from CSV, and damage noticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow.parquet

COMPRESSION = "zstd"
ROWS_IN_A_GROUP = 2**16


def write_parquet(table: Any, file: IO[bytes]) -> None:
    """Write an arrow table; the same table gives the same bytes."""
    import pyarrow.parquet

    plain = table.replace_schema_metadata(None)  # pandas' own names its version
    pyarrow.parquet.write_table(
        plain, file, compression=COMPRESSION, row_group_size=ROWS_IN_A_GROUP, write_page_checksum=True
    )


def parquet_columns(path: Path) -> list[str]:
    """The names of a file's columns."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def read_parquet(path: Path, types: Mapping[str, Any], columns: Sequence[str] | None) -> Any:
    """A file's columns as an arrow table, those of `types` as these types; a text that is null is empty, as in CSV.

    Raises `pyarrow.ArrowException` where it is damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    with _opened(path) as file:
        table = file.read(columns=None if columns is None else list(columns))
        table.validate(full=True)
    read = {name: table[name] for name in columns or table.column_names}
    for name, wanted in types.items():
        if name in read:
            is_text = pa.types.is_string(wanted) or pa.types.is_dictionary(wanted)
            column = pc.fill_null(read[name].cast(pa.string()), "") if is_text else read[name]
            read[name] = column.cast(wanted)
    return pa.table(read)


@contextmanager
def _opened(path: Path) -> Iterator[pyarrow.parquet.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet

    with path.open("rb") as file:
        try:
            yield pyarrow.parquet.ParquetFile(file, page_checksum_verification=True)
        except OSError as error:
            # Arrow's own have no number. A disk's have one.
            if error.errno is not None:
                raise
            raise pa.ArrowInvalid(str(error)) from error
