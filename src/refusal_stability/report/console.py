"""Comparisons and plans as text for a terminal: aligned tables whose columns are explained beneath."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from refusal_stability.files import PROMPTS
from refusal_stability.tables.columns import METRIC_COLUMNS

FIGURE_NAMES = {"ssi": "mean SSI", "flip": "the share of flipped prompts"}
SIDES = {
    True: "Where every prompt moves (one model at two temperatures or with an intervention):",
    False: "Where the two sides waver on different prompts (two unrelated models, the worst case):",
}


def comparison_text(figures: pd.DataFrame, changed: pd.DataFrame) -> str:
    """Two sides' figures and the prompts that changed most.

    Parameters
    ----------
    figures : a row for each figure: `figure`, `a`, `b`, `difference`, `low`, `high`, `p_value`, `p_holm`.
    changed : the prompts, most changed first: `prompt_id`, `ssi_a`, `ssi_b`, `change` and what else is to be shown.
    """
    cells = figures.astype(object)
    decimals = [2 if name.startswith("pct_") else 4 for name in figures["figure"]]
    for column in ("a", "b", "difference", "low", "high"):
        cells[column] = [
            "-" if pd.isna(value) else f"{value:.{n}f}" for value, n in zip(figures[column], decimals, strict=True)
        ]
    for column in ("p_value", "p_holm"):
        cells[column] = [_p(value) for value in figures[column]]
    if changed.empty:
        return f"{_table(cells)}\n\nNo prompt's ssi changed."
    shown = changed.astype(object)
    for column, form in (("ssi_a", "{:.2f}"), ("ssi_b", "{:.2f}"), ("change", "{:+.2f}")):
        shown[column] = [form.format(value) for value in changed[column]]
    return f"{_table(cells)}\n\nPrompts whose ssi changed most:\n{_table(shown)}"


def comparison_legend(figures: Sequence[str], confidence: float) -> str:
    """What the columns and rows of `comparison_text` mean; `confidence` is that of the intervals, e.g. 0.95."""
    return "\n".join(
        [
            *(f"{name}: {METRIC_COLUMNS[name][1]}" for name in figures),
            f"difference: b minus a over the paired prompts; low, high: its {confidence:.0%} interval over prompts",
            f"p_value: Wilcoxon's signed-rank test; p_holm: corrected for the {len(figures)} figures; - where no "
            "prompt differs, or a figure is not defined (two samples agree: from two decisions a prompt on)",
            f"The texts of the prompts: {PROMPTS}; every definition: docs/method.md",
        ]
    )


def plan_text(
    rows: Sequence[dict[str, Any]],
    figure: str,
    difference: float,
    power: float,
    confidence: float,
    pilot_samples: int,
    pilot_prompts: int,
    tokens_per_response: float,
) -> str:
    """Planned studies (rows of `measures.tables.planning.planned_studies`) under a sentence that says what for."""
    lines = [
        f"To detect {difference:+g} in {FIGURE_NAMES[figure]}, as {pilot_samples} samples a prompt show it, "
        f"with power {power:g} at level {1 - confidence:.2g}:"
    ]
    for related, meaning in SIDES.items():
        cells = [
            {
                "samples": str(row["samples"]),
                "prompts": "over 1,000,000" if row["prompts"] is None else f"{row['prompts']:,}",
                "responses": "" if row["prompts"] is None else f"{row['responses']:,}",
                "tokens": "" if row["prompts"] is None else f"{row['tokens']:,}",
                "power": f"{row['power']:.2f}",
                "difference seen": f"{row['difference_seen']:+.4f}",
            }
            for row in rows
            if row["related"] == related
        ]
        lines += ["", meaning, _table(pd.DataFrame(cells))]
    return "\n".join(
        [
            *lines,
            "",
            "samples: responses a prompt; prompts: the least number that reaches the power, the same on both sides, "
            f"like the pilot's {pilot_prompts}",
            f"responses, tokens: of both sides together, at {tokens_per_response:.0f} tokens a response; what is "
            "read, and what judges read and write, come on top (refusal-stability plan counts them for a study)",
            "power: simulated with so many prompts; difference seen: what so many samples a prompt measure of it",
        ]
    )


def _table(cells: pd.DataFrame) -> str:
    return cells.to_string(index=False)


def _p(value: float) -> str:
    if pd.isna(value):
        return "-"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"
