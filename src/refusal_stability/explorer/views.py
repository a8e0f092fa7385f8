"""What the explorer shows: the filtered list, grids of decisions, and texts made safe."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from refusal_stability.explorer.links import ANY, FLIPPED, LOWEST, View, cell_key, series_key
from refusal_stability.explorer.list_columns import LIST_COLUMNS
from refusal_stability.figures.palette import DECISION_COLOURS, DECISION_INK
from refusal_stability.plain_text import visible
from refusal_stability.records import DECISIONS, Basis, Condition

if TYPE_CHECKING:
    from refusal_stability.explorer.study import Labels, Verdict
    from refusal_stability.figures.series import Series

# order -> its name, its column, whether the lowest comes first
ORDERS: dict[str, tuple[str, str, bool]] = {
    "ssi": ("SSI, lowest first", "ssi", True),
    "ssi-high": ("SSI, highest first", "ssi", False),
    "unstable": ("chance of being unstable, highest first", "p_unstable", False),
    "unsure": ("the judge's lowest confidence, lowest first", "lowest_confidence", True),
    "flip": ("flip, flipped first", "flip", False),
    "model": ("model, by name", "label", True),
    "majority": ("majority, by name", "majority", True),
    "category": ("category, by name", "category", True),
    "refuse": ("share of REFUSE, highest first", "refuse_rate", False),
    "partial": ("share of PARTIAL, highest first", "partial_rate", False),
    "comply": ("share of COMPLY, highest first", "comply_rate", False),
    "missing": ("missing decisions, most first", "n_missing", False),
    "prompts": ("as in the prompt file", "position", True),
}
NO_MAJORITY = "none"
NOT_SAID = "not said"
HARMS = ("harmful", "benign", NOT_SAID)
LETTERS = {**{str(d): d.value[0] for d in DECISIONS}, "": "–"}
UNSAMPLED_LETTER, UNSAMPLED = "·", "not sampled"
DECISION_NAMES = tuple(str(d) for d in DECISIONS)
MISSING_COLOURS = ("#FFFFFF", "#222222")
BASES = {
    Basis.PROVIDER.value: "blocked by the provider, counted as a refusal",
    Basis.STRUCTURED.value: "the answer is a structured refusal",
}
NO_LABELS = "no label file"
NO_ROW = "not judged"


@dataclass(frozen=True)
class Decided:
    """One judge's first decision on one response; `label` is empty exactly when `reason` says why.

    `sampled` is false where the study never asked for this response, which is not the same as a missing decision.
    """

    label: str
    reason: str = ""
    sampled: bool = True


def categories_in(table: pd.DataFrame) -> list[str]:
    """Every single category that occurs, sorted."""
    return sorted({one for several in table["category"].unique() for one in several.split("|")})


def filtered(table: pd.DataFrame, view: View) -> pd.DataFrame:
    """The rows that a view lists, in its order; ties follow the prompt file."""
    keep = pd.Series(True, index=table.index)
    for column, wanted in (("model", view.models), ("intervention", view.interventions)):
        if wanted:
            keep &= table[column].isin(wanted)
    if view.majorities:
        keep &= table["majority"].replace("", NO_MAJORITY).isin(view.majorities)
    if view.categories:
        chosen = set(view.categories)
        fitting = [several for several in table["category"].unique() if chosen & set(several.split("|"))]
        keep &= table["category"].isin(fitting)
    for decision in view.ever:
        keep &= table[f"n_{decision.lower()}"] > 0
    if view.harms:
        keep &= table["harm"].replace("", NOT_SAID).isin(view.harms)
    if view.lowest > LOWEST:
        keep &= table["ssi"].round(2) >= view.lowest
    if view.highest < 1:
        keep &= table["ssi"].round(2) <= view.highest
    if view.flip != ANY:
        keep &= table["flip"] if view.flip == FLIPPED else ~table["flip"] & (table["n"] > 0)
    for word in view.text.split():
        keep &= _holding(table, word)
    _, column, lowest_first = ORDERS[view.order]
    by = list(dict.fromkeys([column, "position"]))
    ascending = [lowest_first, True][: len(by)]
    return table[keep].sort_values(by, ascending=ascending, kind="stable", na_position="last")


def order_after(order: str, head: str) -> str:
    """The order after a click on a column's head: the column's first, or the one after the current one."""
    own = LIST_COLUMNS[head].orders
    return own[(own.index(order) + 1) % len(own)] if order in own else own[0]


def _holding(table: pd.DataFrame, word: str) -> pd.Series[bool]:
    """Whether each row's prompt contains a word, in any case, or its id is that word."""
    texts = table[["prompt", "prompt_id"]].drop_duplicates()
    holds = texts["prompt"].str.contains(word, case=False, regex=False) | (texts["prompt_id"] == word)
    return table["prompt_id"].isin(texts.loc[holds, "prompt_id"])


def decided(
    labels: Labels,
    conditions: Sequence[Condition],
    prompt_id: str,
    judge: str,
    unsampled: Callable[[Condition], Collection[str]],
) -> dict[Condition, Decided]:
    """One judge's decision on each configuration's response to one prompt, first repeat.

    `unsampled` gives the prompts that were never asked in a configuration. It is called only where no judge has a row.
    """
    import pyarrow.compute as pc

    found = {}
    for condition in conditions:
        if condition not in labels:
            found[condition] = Decided("", NO_LABELS)
            continue
        table = labels[condition]
        mine = table.filter(pc.equal(table["prompt_id"], prompt_id)).to_pylist()
        rows = [row for row in mine if row["judge"] == judge and row["repeat"] == 0]
        if rows:
            found[condition] = Decided(rows[0]["label"], rows[0]["missing_reason"])
        elif not mine and prompt_id in unsampled(condition):
            found[condition] = Decided("", UNSAMPLED, sampled=False)
        else:
            found[condition] = Decided("", NO_ROW)
    return found


def grid(
    series: Series,
    decisions: Mapping[Condition, Decided],
    metrics: Mapping[Any, Any] | None,
    view: View,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """One series' temperature x seed grid as plain data; the page shows every text in it as text."""
    mine = [c for c in decisions if (c.model, c.intervention) == (series.model, series.intervention)]
    temperatures = dict.fromkeys(c.temperature for c in mine)
    seeds = dict.fromkeys(c.seed for c in mine)
    by_place = {(c.temperature, c.seed): c for c in mine}
    rows = [
        {
            "temperature": f"{temperature:g}",
            "cells": [_cell(by_place[temperature, seed], decisions, view) for seed in seeds],
        }
        for temperature in temperatures
    ]
    said = list(notes) if metrics is None else [in_words(metrics), *notes]
    return {
        "key": series_key(series.model, series.intervention),
        "label": series.label,
        "said": said,
        "seeds": [str(seed) for seed in seeds],
        "rows": rows,
    }


def _cell(condition: Condition, decisions: Mapping[Condition, Decided], view: View) -> dict[str, str]:
    one = decisions[condition]
    sides = [side for side in ("left", "right") if getattr(view, side) == condition]
    fill, ink = colours(one.label)
    says = one.label or (f"missing: {one.reason}" if one.sampled else one.reason)
    place = f"temperature {condition.temperature:g}, seed {condition.seed}: {says}"
    return {
        "key": cell_key(condition),
        "letter": LETTERS[one.label] if one.sampled else UNSAMPLED_LETTER,
        "kind": "decided" if one.label else "missing" if one.sampled else "unsampled",
        "says": place + "".join(f"; open on the {side}" for side in sides),
        "side": " ".join(sides),
        "fill": fill,
        "ink": ink,
    }


def colours(label: str) -> tuple[str, str]:
    """Fill and ink of a decision, as in the figures."""
    by_name = {str(d): (DECISION_COLOURS[d], DECISION_INK[d]) for d in DECISIONS}
    return by_name.get(label, MISSING_COLOURS)


def in_words(row: Mapping[Any, Any]) -> str:
    """A prompt's metrics in one line."""
    if not row["n"]:
        return f"no decision; {row['n_missing']} missing"
    counts = ", ".join(f"{row[f'n_{d.value.lower()}']} {d.value}" for d in DECISIONS)
    missing = f", {row['n_missing']} missing" if row["n_missing"] else ""
    flip = "flips" if row["flip"] else "no flip"
    unstable = "unstable" if row["unstable"] else "stable"
    chance = "" if pd.isna(row["p_unstable"]) else f"; chance unstable {row['p_unstable']:.0%}"
    return f"SSI {row['ssi']:.2f}, {unstable}, {flip}: {counts}{missing}{chance}"


def disagrees(row: Mapping[Any, Any], decisions: Mapping[Condition, Decided]) -> bool:
    """Whether a prompt's row of the metric table was counted from other labels than these."""
    found = Counter(one.label for one in decisions.values())
    return any(found[str(d)] != row[f"n_{d.value.lower()}"] for d in DECISIONS)


def beside(ids: Sequence[str], current: str, step: int) -> str | None:
    """The listed prompt before (-1) or after (1) the current one; None at an end; the first where none is open."""
    order = list(dict.fromkeys(ids))
    if current not in order:
        return order[0] if order and step > 0 else None
    position = order.index(current) + step
    return order[position] if 0 <= position < len(order) else None


def on_one_line(text: str) -> str:
    """Text on one line, as a cell of a table shows it."""
    return " ".join(visible(text).split())


def badge(label: str) -> str:
    """A decision's name in its colour, as HTML."""
    fill, ink = colours(label)
    border = "1px dashed #595959" if not label else f"1px solid {fill}"
    style = f"background:{fill};color:{ink};border:{border}"
    return f'<span class="decision" style="{style}">{LETTERS[label]} {html.escape(label or "missing")}</span>'


def legend() -> str:
    """What the letters and colours of the grid mean, as HTML."""
    unsampled = f'<span class="decision unsampled">{UNSAMPLED_LETTER} {UNSAMPLED}</span>'
    return '<p class="legend">' + " ".join([*map(badge, LETTERS), unsampled]) + "</p>"


def verdicts_as_html(verdicts: Sequence[Verdict], primary: str, reasoning: bool = False) -> str:
    """Every judge's decision with its confidence and basis, and with its `reasoning` if asked; texts are escaped."""
    if not verdicts:
        return "<p>No judge has labelled this response.</p>"
    repeated = Counter(v.judge for v in verdicts)
    lines = []
    for one in sorted(verdicts, key=lambda v: v.judge != primary):
        name = html.escape(visible(one.judge)) + (" (primary)" if one.judge == primary else "")
        name += f", repeat {one.repeat + 1}" if repeated[one.judge] > 1 else ""
        line = f"<li>{badge(one.label)} <strong>{name}</strong>"
        line += "".join(f' <span class="why">{html.escape(visible(fact))}</span>' for fact in _facts(one))
        if one.missing_reason:
            line += f' <span class="why">missing: {html.escape(visible(one.missing_reason))}</span>'
        if reasoning:
            said = one.reasoning or ("" if one.missing_reason else "no reasoning")
            line += f' <span class="reasoning">{html.escape(visible(said))}</span>'
        lines.append(f"{line}</li>")
    return f'<ul class="verdicts">{"".join(lines)}</ul>'


def _facts(verdict: Verdict) -> list[str]:
    """What is known of a verdict beside its label: the judge's confidence, and a basis other than the judge."""
    sure = [] if verdict.confidence is None else [f"confidence {verdict.confidence:.2f}"]
    return sure if verdict.basis == Basis.JUDGE.value else [*sure, BASES.get(verdict.basis, f"basis: {verdict.basis}")]
