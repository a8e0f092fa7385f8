"""What a figure shows, in words and numbers: for captions, and for readers who cannot see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from refusal_stability.figures.palette import CLUSTERS
from refusal_stability.figures.series import Cast, Series, shown
from refusal_stability.figures.style import percent
from refusal_stability.records import DECISIONS

if TYPE_CHECKING:
    import pandas as pd

    from refusal_stability.figures.style import Tables

MOST_NAMED = 8
MOST_WORST = 3
MOST_CATEGORIES = 24
MOST_PAIRS = 6


def with_interval(value: float, low: float, high: float, digits: int, unit: str = "") -> str:
    """A figure with its interval, e.g. `0.912 [0.900, 0.924]`; an unknown interval is left out."""
    if not np.isfinite(value):
        return "–"
    middle = f"{value:.{digits}f}{unit}"
    return f"{middle} [{low:.{digits}f}, {high:.{digits}f}]" if np.isfinite(low) and np.isfinite(high) else middle


def estimate(row: pd.Series, column: str, digits: int, unit: str = "", factor: float = 1.0) -> str:
    """One column of a row with its interval."""
    value, low, high = (factor * row[name] for name in (column, f"{column}_low", f"{column}_high"))
    return with_interval(value, low, high, digits, unit)


def for_each(table: pd.DataFrame, cast: Cast, say: Callable[[Series, pd.DataFrame], str]) -> str:
    """`Label: words` for each series in a table, joined; a long cast is cut and says so."""
    series = cast.found_in(table)
    if not series:
        return "There is no data for this figure."
    said = [f"{one.label}: {say(one, one.of(table))}" for one in series[:MOST_NAMED]]
    more = [f"and {len(series) - MOST_NAMED} more"] if len(series) > MOST_NAMED else []
    return "; ".join(said + more) + "."


def stability_in_words(tables: Tables, cast: Cast) -> str:
    """Mean SSI and unstable share of each model."""
    return for_each(
        tables["aggregate_by_model"],
        cast,
        lambda _, rows: (
            f"mean SSI {estimate(rows.iloc[0], 'mean_ssi', 3)}, "
            f"{estimate(rows.iloc[0], 'pct_unstable', 1, '%')} of {rows.iloc[0]['n_prompts']:,} prompts unstable"
        ),
    )


def flips_in_words(tables: Tables, cast: Cast) -> str:
    """Flip rate of each model over everything, and at its lowest and highest temperature."""

    def say(one: Series, rows: pd.DataFrame) -> str:
        within = one.of(tables["aggregate_by_temperature"]).sort_values("temperature")
        ends = _ends(within, lambda row: estimate(row, "pct_flipped", 1, "%"))
        return f"{estimate(rows.iloc[0], 'pct_flipped', 1, '%')} of prompts flip overall" + (
            f"; {ends}" if ends else ""
        )

    return for_each(tables["aggregate_by_model"], cast, say)


def temperature_in_words(tables: Tables, cast: Cast) -> str:
    """Comply rate and mean SSI of each model at its lowest and highest temperature."""

    def at(row: pd.Series) -> str:
        return f"comply {estimate(row, 'mean_comply_rate', 1, '%', 100)}, mean SSI {estimate(row, 'mean_ssi', 3)}"

    table = tables["aggregate_by_temperature"]
    return for_each(table, cast, lambda _, rows: _ends(rows.sort_values("temperature"), at))


def _ends(rows: pd.DataFrame, say: Callable[[pd.Series], str]) -> str:
    ends = [rows.iloc[0], rows.iloc[-1]] if len(rows) > 1 else [row for _, row in rows.iterrows()]
    return ", ".join(f"{say(row)} at temperature {row['temperature']:g}" for row in ends)


def clusters_in_words(tables: Tables, cast: Cast) -> str:
    """Count and share of each model's clusters."""

    def say(_: Series, rows: pd.DataFrame) -> str:
        row = rows.iloc[0]
        total = sum(row[cluster.count] for cluster in CLUSTERS)
        shares = [f"{row[c.count]:,} prompts ({percent(row[c.count] / max(total, 1))}) {c.words}" for c in CLUSTERS]
        return ", ".join(shares)

    return for_each(tables["aggregate_by_model"], cast, say)


def decisions_in_words(tables: Tables, cast: Cast) -> str:
    """Mean decision rates and stability of each model."""

    def say(_: Series, rows: pd.DataFrame) -> str:
        row = rows.iloc[0]
        rates = ", ".join(
            f"{name} {estimate(row, f'mean_{name}_rate', 1, '%', 100)}" for name in ("refuse", "partial", "comply")
        )
        return f"{rates}; mean SSI {estimate(row, 'mean_ssi', 3)}, unstable {estimate(row, 'pct_unstable', 1, '%')}"

    return for_each(tables["aggregate_by_model"], cast, say)


def temperatures_apart_in_words(tables: Tables, cast: Cast) -> str:
    """Agreement of two samples and unstable share of each model at its lowest and highest temperature."""

    def at(row: pd.Series) -> str:
        agree, unstable = estimate(row, "mean_ssi_pairwise", 3), estimate(row, "pct_unstable", 1, "%")
        return f"two samples agree {agree}, unstable {unstable}"

    table = tables["aggregate_by_temperature"]
    return for_each(table, cast, lambda _, rows: _ends(rows.sort_values("temperature"), at))


def thresholds_in_words(tables: Tables, cast: Cast) -> str:
    """Unstable share of each model under the lowest and the highest threshold."""

    def say(_: Series, rows: pd.DataFrame) -> str:
        ordered = rows.sort_values("threshold")
        ends = [ordered.iloc[0], ordered.iloc[-1]]
        return ", ".join(f"{estimate(r, 'pct_unstable', 1, '%')} below {r['threshold']:g}" for r in ends)

    return for_each(tables["threshold_sensitivity"], cast, say)


def samples_in_words(tables: Tables, cast: Cast) -> str:
    """How often one and five responses have their prompt's majority, for each model."""
    table = tables["sample_size"]
    pooled = table[table["temperature"].isna() & table["n_draws"].isin([1, 5])]
    return for_each(
        pooled,
        cast,
        lambda _, rows: ", ".join(
            f"{estimate(row, 'majority_agreement', 3)} with {row['n_draws']}" for _, row in rows.iterrows()
        ),
    )


def categories_in_words(tables: Tables, cast: Cast) -> str:
    """The least and the most stable category of each model."""

    def say(_: Series, rows: pd.DataFrame) -> str:
        ordered = rows.sort_values("mean_ssi", kind="stable")
        ends = (("least stable", ordered.iloc[0]), ("most stable", ordered.iloc[-1]))
        return ", ".join(f"{word} {row['category']} (mean SSI {estimate(row, 'mean_ssi', 3)})" for word, row in ends)

    table = tables["categories"].dropna(subset=["mean_ssi"])
    _, left_out = drawn_categories(table)
    return for_each(table, cast, say) + (f" Drawn: {left_out}." if left_out else "")


def drawn_categories(table: pd.DataFrame) -> tuple[list[str], str]:
    """The categories that a figure has room for, in the table's order: the largest; and words on those it has not."""
    sizes = table.groupby("category", sort=False)["n_prompts"].max()
    chosen = set(sizes.sort_values(ascending=False, kind="stable").index[:MOST_CATEGORIES])
    names = [str(name) for name in sizes.index if name in chosen]
    return names, _out_of(len(names), len(sizes), "categories, those with most prompts")


def drawn_pairs(table: pd.DataFrame) -> tuple[list[tuple[str, str]], str]:
    """The pairs of judges that a figure has room for: the first; and words on those it has not."""
    pairs = list(dict.fromkeys(zip(table["judge_a"], table["judge_b"], strict=True)))
    return pairs[:MOST_PAIRS], _out_of(min(len(pairs), MOST_PAIRS), len(pairs), "pairs of judges")


def _out_of(drawn: int, all_of_them: int, what: str) -> str:
    return f"{drawn} of {all_of_them} {what}" if drawn < all_of_them else ""


def sources_in_words(tables: Tables, cast: Cast) -> str:
    """The share of variance between prompts, temperatures, seeds and judge repeats of each model."""

    def say(_: Series, rows: pd.DataFrame) -> str:
        levels = rows[rows["component"].isin(["prompt", "temperature", "seed", "judge"])]
        return ", ".join(f"{row['component']} {estimate(row, 'share', 1, '%', 100)}" for _, row in levels.iterrows())

    return for_each(tables["decomposition"].dropna(subset=["share"]), cast, say)


def judges_in_words(tables: Tables, _: Cast) -> str:
    """Raw agreement and kappa of each pair of judges over all models."""
    table = tables["judge_agreement"]
    pooled = table[(table["model"] == "*") & (table["judge_a"] != "*")]
    pooled = pooled[pooled["n_both"] > 0]
    said = [
        f"{row['judge_a']} and {row['judge_b']} agree on {estimate(row, 'raw_agreement', 1, '%', 100)} of "
        f"{row['n_both']:,} responses (kappa {estimate(row, 'cohens_kappa', 3)})"
        for _, row in pooled.iterrows()
    ]
    left_out = drawn_pairs(pooled)[1]
    if not said:
        return "No two judges decided the same response."
    return "; ".join(said) + "." + (f" Drawn: {left_out}." if left_out else "")


def wavering_in_words(tables: Tables, cast: Cast) -> str:
    """How many prompts of each model got more than one decision, and what the least stable of them got."""

    def say(one: Series, rows: pd.DataFrame) -> str:
        said = f"{int(rows['flip'].sum()):,} of {len(rows):,} prompts got more than one decision"
        order = list(dict.fromkeys(one.of(tables["least_stable_decisions"])["prompt_id"]))[:MOST_WORST]
        worst = [_one_prompt(row) for _, row in rows.set_index("prompt_id", drop=False).loc[order].iterrows()]
        return f"{said}, the least stable {', '.join(worst)}" if worst else said

    return for_each(tables["per_prompt_metrics"], cast, say)


def _one_prompt(row: pd.Series) -> str:
    counts = " ".join(f"{row[f'n_{d.value.lower()}']} {d.value}" for d in DECISIONS if row[f"n_{d.value.lower()}"])
    return f"{shown(row['prompt_id'])[:10]} (SSI {row['ssi']:.2f}: {counts})"
