"""The tail forecast as metrics of a model's run: one for each number of attempts."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

DIGITS = 4


def forecast_metrics(tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """`tail/comply_in_<attempts>` in percent, with its bounds; nothing where no prompt complied."""
    table = tables.get("tail_forecast", pd.DataFrame())
    return {
        f"tail/comply_in_{int(row['n_attempts'])}{end}": round(float(row[f"pct_comply_forecast{end}"]), DIGITS)
        for _, row in table.iterrows()
        for end in ("", "_low", "_high")
        if pd.notna(row[f"pct_comply_forecast{end}"])
    }
