"""The columns of generation and label files as arrays, read fast: a study of a million prompts has many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import column_names, read_arrow

TEXT_COLUMNS = ("model", "intervention", "judge", "label", "finish_reason", "missing_reason", "outcome")
UNREAD_COLUMNS = ("reasoning", "prompt", "finish_reason", "thinking", "confidence", "basis")


def read_columns(path: Path, contract: Contract) -> Any:
    """The columns of a table with short texts dictionary-encoded; None where it does not parse as its contract."""
    import pyarrow as pa

    kinds = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64(), "flag": pa.bool_()}
    types = {name: kinds[kind] for name, kind in contract.columns.items()}
    types |= {name: pa.dictionary(pa.int32(), pa.string()) for name in TEXT_COLUMNS if name in types}
    try:
        header = column_names(path)
        if header != [name for name in contract.columns if name in header or name not in contract.older]:
            return None
        wanted = [name for name in header if name not in UNREAD_COLUMNS]
        if "finish_reason" in header and "outcome" not in header:
            wanted.append("finish_reason")
        return read_arrow(path, types, wanted)
    except (OSError, UnicodeDecodeError, pa.ArrowException):
        return None


def coded(column: Any, codes: dict[str, int]) -> Any:
    """A dictionary-encoded column as numbers; -1 for a text without one."""
    if not len(column):
        return np.zeros(0, dtype=np.int16)
    encoded = column.unify_dictionaries().combine_chunks()
    encoded = encoded.chunk(0) if hasattr(encoded, "chunk") else encoded
    lookup = np.array([codes.get(text, -1) for text in encoded.dictionary.to_pylist()], dtype=np.int16)
    return lookup[encoded.indices.to_numpy()]


def positions(prompt_ids: Any, ids: Any) -> Any:
    """Where each prompt id stands among the study's; -1 for an unknown one.

    As a rule a file has its rows in the prompts' order, and comparing is far quicker than looking up.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(prompt_ids) == len(ids) and prompt_ids.equals(pa.chunked_array([ids])):
        return np.arange(len(ids))
    return pc.fill_null(pc.index_in(prompt_ids, value_set=ids), -1).to_numpy().astype(np.int64)
