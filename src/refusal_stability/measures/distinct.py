"""Distinct rows with their counts: a million prompts take a few hundred different count triples, so work on those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DENSE_KEYS = 1 << 22  # up to this many possible keys, counting them beats sorting the rows


@dataclass(frozen=True)
class Distinct:
    """The distinct rows of a table.

    Attributes
    ----------
    rows : (D, m) the distinct rows, in lexicographic order.
    weights : (D,) how many of the table's rows each one stands for.
    index : (P,) for each of the table's rows, which distinct row it is.
    """

    rows: NDArray[Any]
    weights: Ints
    index: Ints


def distinct_rows(table: NDArray[Any]) -> Distinct:
    """The distinct rows of `table`, without sorting whole rows.

    Parameters
    ----------
    table : (P, m) numbers. NaN equals NaN.

    Returns
    -------
    Distinct
        Such that `rows[index]` is `table` again.
    """
    table = np.asarray(table)
    if table.ndim != 2:
        raise ValueError(f"expected a table of rows, got shape {table.shape}")
    index = np.zeros(len(table), dtype=np.int64)
    size = 1 if len(table) else 0
    for column in table.T:
        codes, n_codes = _codes(column)
        index, size = _compact(index * n_codes + codes, size * n_codes)
    weights = np.bincount(index, minlength=size).astype(np.int64)
    first = np.zeros(size, dtype=np.int64)
    first[index[::-1]] = np.arange(len(table))[::-1]
    return Distinct(table[first], weights, index)


def _codes(column: NDArray[Any]) -> tuple[Ints, int]:
    """Order-preserving codes of one column, and an upper bound on how many there are."""
    if len(column) == 0:
        return np.zeros(0, dtype=np.int64), 1
    if np.issubdtype(column.dtype, np.integer):
        low, high = int(column.min()), int(column.max())
        if high - low < DENSE_KEYS:
            return column.astype(np.int64) - low, high - low + 1
    values, codes = np.unique(column, return_inverse=True)
    return codes.astype(np.int64), len(values)


def _compact(keys: Ints, n_keys: int) -> tuple[Ints, int]:
    """Keys renumbered 0, 1, ... without gaps, in their order."""
    if n_keys <= DENSE_KEYS:
        present = np.bincount(keys, minlength=n_keys) > 0
        return (np.cumsum(present) - 1)[keys], int(present.sum())
    values, codes = np.unique(keys, return_inverse=True)
    return codes.astype(np.int64), len(values)
