"""Each configuration's responses as a file: CSV, or Parquet where its texts are large."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from refusal_stability.files import GENERATIONS, PARQUET, generation_place, write_files
from refusal_stability.records import Completion, Condition
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.study import GENERATION_TABLE, generation_table

LONG = ("prompt", "response", "thinking")
BYTES_IN_A_MB = 1_000_000


def write_generation_files(
    model: str, prompts: pd.DataFrame, answers: Mapping[Condition, list[Completion]], parquet_above_mb: float
) -> None:
    """Write a model's answers in each configuration, in the form for their size, and remove its other files."""
    tables = {one: generation_table(one, prompts, given) for one, given in answers.items()}
    files = {generation_place(one, suffix_for(table, parquet_above_mb)).name: table for one, table in tables.items()}
    write_files(GENERATIONS / model, list(files), lambda path: write_generations(files[path.name], path))


def suffix_for(table: pd.DataFrame, parquet_above_mb: float) -> str:
    """The ending of the file that a generation table belongs in, by the bytes of its texts."""
    taken = sum(len(text.encode(errors="replace")) for name in LONG for text in table[name])
    return PARQUET if taken > parquet_above_mb * BYTES_IN_A_MB else ".csv"


def write_generations(table: pd.DataFrame, path: Path) -> None:
    """Write the table, then remove its other form, which is of an earlier run."""
    write_table(table, path, GENERATION_TABLE)
    path.with_suffix(".csv" if path.suffix == PARQUET else PARQUET).unlink(missing_ok=True)
