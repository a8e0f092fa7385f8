"""The rows of a Parquet file in batches that memory can hold: a few stored bytes may stand for gigabytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from refusal_stability.files import ArtifactError

if TYPE_CHECKING:
    import pyarrow.parquet

MOST_ROWS = 1000
# Of one batch.
LARGEST_BATCH = 2**28
# A file that unpacks to more than both of these is a mistake or an attack.
LARGEST = 2**30
LARGEST_RATIO = 200


def parquet_rows(
    path: object, file: pyarrow.parquet.ParquetFile, stored: int, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Every row of a file of `stored` bytes; raises where it unpacks to far more than that."""
    metadata, unpacked = file.metadata, 0
    # No value is larger than its row group before compression, but a dictionary may repeat it in every row.
    largest = max((metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups)), default=0)
    rows = min(MOST_ROWS, max(1, LARGEST_BATCH // max(1, largest)))
    for batch in file.iter_batches(rows, columns=columns):
        unpacked += sum(_size(column) for column in batch.columns)
        if unpacked > max(LARGEST, LARGEST_RATIO * stored):
            raise ArtifactError(
                f"{path}: unpacks to over {LARGEST // 2**20:,} MB, more than {LARGEST_RATIO} times its size; if it is "
                "right, write it as JSON lines (.jsonl), read line by line"
            )
        yield from batch.to_pylist()


def _size(column: Any) -> int:
    """How many bytes a column's values take, a repeated value as often as it stands there."""
    import pyarrow as pa

    return int((column.dictionary_decode() if pa.types.is_dictionary(column.type) else column).nbytes)
