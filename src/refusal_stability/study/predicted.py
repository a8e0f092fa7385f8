"""Predicted instability as `refusal-stability predict` wrote it: a prior for samplers."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.prediction import PREDICTION_TABLES


def predicted_instability(
    model: str, intervention: str = "none", event: str = "p_flip", path: Path | None = None
) -> dict[str, float]:
    """The predicted chance of instability by prompt id; empty for a model that was not predicted."""
    place, contract = PREDICTION_TABLES["predictions"]
    table = read_table(path or place, contract)
    rows = table[(table["model"] == model) & (table["intervention"] == intervention) & table[event].notna()]
    return {str(name): float(chance) for name, chance in zip(rows["prompt_id"], rows[event], strict=True)}
