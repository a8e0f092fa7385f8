"""Comparisons and plans as text for a terminal: aligned tables whose columns are explained beneath."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from refusal_stability.files import PROMPTS
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.layout import Shown, as_text, described, laid_out, numbers, words
from refusal_stability.tables.number_format import Row

FIGURE_NAMES = {"ssi": "mean SSI", "flip": "the share of flipped prompts"}
SIDES = {
    True: "Where every prompt moves (one model at two temperatures or with an intervention):",
    False: "Where different prompts vary on the two sides (two unrelated models, the worst case):",
}
OUT_OF_REACH = "over 1,000,000"


def comparison_text(figures: pd.DataFrame, changed: pd.DataFrame) -> str:
    """Two sides' figures and the prompts that changed most.

    Parameters
    ----------
    figures : a row for each figure: `figure`, `a`, `b`, `difference`, `low`, `high`, `p_value`, `p_holm`.
    changed : the prompts, most changed first: `prompt_id`, `ssi_a`, `ssi_b`, `change` and what else is to be shown.
    """
    columns = [*map(_figure_column, ("a", "b", "difference", "low", "high")), _p("p_value"), _p("p_holm")]
    text = as_text(laid_out("figures", "", _rows(figures), words("figure", "figure"), *columns))
    if changed.empty:
        return f"{text}\n\nNo prompt's ssi changed."
    known = {name: described("ssi", name, key=name) for name in ("ssi_a", "ssi_b")}
    known["change"] = numbers("change", lambda row: f"{row['change']:+.{COLUMNS['ssi'].digits}f}")
    shown = [known.get(name) or words(name, name) for name in changed.columns]
    return f"{text}\n\n{as_text(laid_out('changed', 'Prompts whose ssi changed most:', _rows(changed), *shown))}"


def comparison_legend(figures: Sequence[str], confidence: float) -> str:
    """What the columns and rows of `comparison_text` mean; `confidence` is that of the intervals, e.g. 0.95."""
    return "\n".join(
        [
            *(f"{name}: {COLUMNS[name].meaning}" for name in figures),
            f"difference: b minus a over the paired prompts; low, high: its {confidence:.0%} interval over prompts",
            f"p_value: Wilcoxon's signed-rank test; p_holm: corrected for the {len(figures)} figures",
            "-: no prompt differs, or the figure is not defined (mean_ssi_pairwise needs two decisions per prompt)",
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

    def size(name: str) -> Shown:
        return numbers(name, lambda row: "" if row["prompts"] is None else f"{row[name]:,}")

    columns = (
        numbers("samples", lambda row: str(row["samples"])),
        numbers("prompts", lambda row: OUT_OF_REACH if row["prompts"] is None else f"{row['prompts']:,}"),
        size("responses"),
        size("tokens"),
        numbers("power", lambda row: f"{row['power']:.2f}"),
        numbers("measured difference", lambda row: f"{row['difference_seen']:+.4f}"),
    )
    lines = [
        f"To detect {difference:+g} in {FIGURE_NAMES[figure]}, as measured with {pilot_samples} samples per prompt, "
        f"with power {power:g} at level {1 - confidence:.2g}:"
    ]
    for related, title in SIDES.items():
        lines += ["", as_text(laid_out("plan", title, (row for row in rows if row["related"] == related), *columns))]
    return "\n".join(
        [
            *lines,
            "",
            "samples: responses per prompt",
            f"prompts: fewest that reach the power, the same on both sides, like the pilot's {pilot_prompts}",
            f"responses, tokens: for both sides together, at {tokens_per_response:.0f} tokens per response. Prompt "
            "tokens and judge tokens come on top: `refusal-stability plan` counts them for a study",
            "power: simulated with that many prompts",
            "measured difference: expected measured difference at that sample count",
        ]
    )


def _rows(table: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _figure_column(name: str) -> Shown:
    """A figure or its difference, with one decimal more than a report shows."""

    def read(row: Row) -> str:
        return "-" if math.isnan(row[name]) else f"{row[name]:.{COLUMNS[row['figure']].decimals + 1}f}"

    return numbers(name, read)


def _p(name: str) -> Shown:
    def read(row: Row) -> str:
        if math.isnan(row[name]):
            return "-"
        return "<0.0001" if row[name] < 1e-4 else f"{row[name]:.4f}"

    return numbers(name, read)
