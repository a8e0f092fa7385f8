"""Which of several columns numbers the repeats: one seed for a whole table numbers none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from refusal_stability.exchange.log_format import ImportOptions
from refusal_stability.exchange.table_cells import cell_text
from refusal_stability.exchange.table_map import USUAL_NAMES, OneTable
from refusal_stability.tables.user_files import every_row


def map_of_repeats(path: Path, options: ImportOptions) -> OneTable:
    """The map of a table, with the first column of repeats that has more than one value, where there are several."""
    chosen = options.map_of(path)
    first = None if "repeat" in chosen.columns else next(every_row(path), None)
    named = {str(name).strip().lower(): name for name in reversed(list(first.values))} if first else {}
    columns = [named[name] for name in ("repeat", *USUAL_NAMES["repeat"]) if name in named]
    if first is None or len(columns) < 2:
        return chosen
    seen = {column: cell_text(first, column) for column in columns}
    varying: set[str] = set()
    for row in every_row(path):
        varying |= {column for column in columns if column in row.values and cell_text(row, column) != seen[column]}
        if columns[0] in varying:
            return chosen
    other = next((column for column in columns if column in varying), None)
    if other is None:
        return chosen
    options.note(f"{path.name}: column {columns[0]} has one value in all rows, so {other} numbers the repeats")
    return replace(chosen, columns={**chosen.columns, "repeat": other})
