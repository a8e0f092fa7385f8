"""The published figures beside those in the study's own tables, with the difference and its reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.exchange.recorded_files import study_name
from refusal_stability.files import ArtifactError
from refusal_stability.replication.over_models import AND, BESIDE, OR, Scope
from refusal_stability.tables.columns import POOLED
from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import read_table

FIGURES = Contract(
    "published figures",
    {
        "quantity": "text",
        "model": "text",
        "judge": "text",
        "temperature": "number",
        "category": "text",
        "value": "text",
        "tolerance": "text",
        "source": "text",
        "note": "text",
        "reason": "text",
    },
    ("quantity", "model", "judge", "temperature", "category", "source"),
    {
        "quantity": "a column of our tables, or a figure over models or judges",
        "model": "the model's label; empty: over all models",
        "judge": "the judge's name with dots; `a vs b` for two",
        "temperature": "the temperature; empty: all pooled",
        "category": "a category of prompts; empty: all of them",
        "value": "the published number, or an interval [low, high]; empty where the number is not at hand",
        "tolerance": "the largest difference that counts as the same; `inside`: ours must lie in the interval",
        "source": "paper, first report, raw labels (recomputed from them), or definition (never published)",
        "note": "a remark",
        "reason": "why ours differs, where that is known beforehand",
    },
    {"category": lambda table: "", "reason": lambda table: ""},
)
COMPARED = Contract(
    "comparison",
    {
        **{name: kind for name, kind in FIGURES.columns.items() if name not in ("note", "reason")},
        "ours": "number",
        "difference": "number",
        "outcome": "text",
        "table": "text",
        "why": "text",
    },
    FIGURES.key,
    {
        **{name: meaning for name, meaning in FIGURES.meaning.items() if name not in ("note", "reason")},
        "ours": "the figure in our tables; empty where the data lack what it needs",
        "difference": "ours minus published; 0 inside a published interval, else the distance to it",
        "outcome": "`same` (within the tolerance), `differs` (for a known reason), `not explained` (differs), `absent` "
        "(ours), or `not at hand` (the printed one)",
        "table": "our table and column",
        "why": "why it differs or is absent; otherwise a remark",
    },
)
PAIR = " vs "
# As printed; the other sources are figures of ours, recomputed or defined here.
PRINTED = ("paper", "first report")
NO_NUMBER = "not at hand"
INSIDE = "inside"  # the tolerance of a published interval
NOT_EXPLAINED = "not explained"
OVER = "over_models_"
BETWEEN = re.compile(f"({OR}|{AND}|{BESIDE})")

# (table, primary judge that its figures need: "" for any) -> the table
Tables = Callable[[str, str], pd.DataFrame]


@dataclass(frozen=True)
class Labels:
    """The models that each judge labelled, as published and in the data at hand."""

    published: Mapping[str, Collection[str]]
    at_hand: Mapping[str, Collection[str]]

    def lacking(self, judges: str) -> list[str]:
        """Models that a figure over all models covers as published, but not here: labels of them are not at hand.

        A figure of two judges covers the models of both; `a or b` those of b.
        """
        names = [slug(part) for part in re.split(f"{BETWEEN.pattern}|{PAIR}", judges)[::2]]
        covering = names[-1:] if OR in judges else names
        lacking = []
        for model in self.published.get(names[-1], ()):
            labelled = [name for name in names if model in self.published.get(name, ())]
            at_hand = all(model in self.at_hand.get(name, ()) for name in labelled)
            if set(covering) <= set(labelled) and not at_hand:
                lacking.append(model)
        return lacking


@dataclass(frozen=True)
class Place:
    """Where a figure stands in our tables; `sign` is -1 where ours is the negative of the published one."""

    table: str
    column: str
    where: dict[str, Any]
    primary: str = ""
    sign: int = 1


def read_figures(path: Path) -> pd.DataFrame:
    """The published figures; raises where a value or tolerance cannot be read."""
    table = read_table(path, FIGURES)
    for row in records(table):
        if not row["value"]:
            continue
        try:
            low, high = bounds(row["value"], row["tolerance"])
        except (ValueError, TypeError) as error:
            raise ArtifactError(
                f"{path}: {row['quantity']} {row['model']}: value {row['value']!r} with tolerance "
                f"{row['tolerance']!r}; expected a number with a tolerance, or [low, high] with `inside`"
            ) from error
        if not low <= high:
            raise ArtifactError(
                f"{path}: {row['quantity']} {row['model']}: the lower bound of {row['value']} is above the upper one; "
                "swap them"
            )
    return table


def with_models_of(study: Mapping[str, Any], figures: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The figures, each of a model of the study file; a label that is not its model's name is replaced by the name."""
    names = {slug(str(model.get("label") or name)): name for name, model in study["models"].items()}
    unknown = sorted({model for model in figures["model"] if model and slug(model) not in {*names, *study["models"]}})
    if unknown:
        raise ArtifactError(
            f"{path}: model {unknown[0]!r}: the study has no such model; name it as in `models` of the study file, or "
            f"by its label: {', '.join(study['models'])}"
        )
    named = [model if slug(model) in study["models"] else names.get(slug(model), model) for model in figures["model"]]
    return figures.assign(model=named)


def bounds(value: str, tolerance: str) -> tuple[float, float]:
    """The smallest and the largest number that count as the published one."""
    if tolerance == INSIDE:
        low, high = json.loads(value)
        return float(low), float(high)
    return float(value) - float(tolerance), float(value) + float(tolerance)


def slug(name: str) -> str:
    """A published name as it stands in params.yaml; nothing for none."""
    return study_name(name) if name else ""


def place_of(figure: dict[str, Any], primary: str) -> Place:
    """Where our tables hold a published figure; `primary` is the study's own primary judge."""
    quantity, judge = figure["quantity"], slug(figure["judge"])
    model = slug(figure["model"]) or POOLED
    if PAIR in figure["judge"]:
        a, b = map(slug, figure["judge"].split(PAIR))
        between = {"model": model, "judge_a": a, "judge_b": b}
        if quantity.startswith("confusion_"):
            _, first, second = quantity.split("_")
            return Place("judge_confusion", "n_label", between | {"label_a": first, "label_b": second})
        return Place("judge_agreement", BETWEEN_JUDGES.get(quantity, quantity), between)
    if quantity.startswith("majority_agreement_n"):
        draws = int(quantity.removeprefix("majority_agreement_n"))
        where = {"model": model, "temperature": figure["temperature"], "n_draws": draws}
        return Place("sample_size", "majority_agreement", where, judge)
    if quantity.startswith(OVER):
        return Place("over_models", quantity.removeprefix(OVER), dict(zip(SCOPE, scope_of(figure), strict=True)))
    if quantity.startswith("pct_unstable_below_"):
        where = {"model": model, "threshold": float(quantity.removeprefix("pct_unstable_below_"))}
        return Place("threshold_sensitivity", "pct_unstable", where, judge)
    if quantity.startswith("binary_"):
        _, scoring, column = quantity.split("_", 2)
        return Place("binary_scoring", column, {"model": model, "scoring": scoring}, judge)
    if quantity.startswith("p_holm_t"):
        first, second = map(float, quantity.removeprefix("p_holm_t").split("_to_t"))
        where = {"model": model, "temperature_a": first, "temperature_b": second}
        return Place("temperature_pairs", "p_holm", where, judge)
    if quantity in DETERMINISM:
        return Place("t0_determinism", quantity, {"model": model, "judge": judge or primary})
    if quantity in NOWHERE:
        return Place("", quantity, {})
    name = quantity.replace("_pooled", "")
    if name in TESTS:
        return Place("temperature_tests", TESTS[name], {"model": model}, judge)
    if name in DROP:
        where = {"model": model, "temperature_a": 0.0, "temperature_b": 1.0}
        return Place("temperature_pairs", DROP[name], where, judge, sign=-1)
    if figure["category"]:
        return Place("categories", quantity, {"model": model, "category": figure["category"]}, judge)
    where = {"model": model, "judge": judge or primary, "temperature": figure["temperature"]}
    return Place("aggregate_by_judge", quantity, where)


def scopes_of(figures: pd.DataFrame) -> list[Scope]:
    """What the figures over several models cover, each once, in a fixed order."""
    found = [scope_of(figure) for figure in records(figures) if figure["quantity"].startswith(OVER)]
    return [scope for _, scope in sorted({str(scope): scope for scope in found}.items())]


def scope_of(figure: dict[str, Any]) -> Scope:
    """Which judges, models, prompts and temperature a figure over several models covers."""
    parts = BETWEEN.split(figure["judge"])
    judges = "".join(part if BETWEEN.fullmatch(part) else slug(part) for part in parts)
    return judges, slug(figure["model"]) or POOLED, figure["category"], float(figure["temperature"])


SCOPE = ("judges", "model", "category", "temperature")
DETERMINISM = ("pct_identical", "pct_identical_flipped")
# The drop is ours with the other sign, so that its lower end is our upper one.
DROP = {
    "ssi_drop_t0_to_t1": "mean_difference",
    "ssi_drop_t0_to_t1_low": "mean_difference_high",
    "ssi_drop_t0_to_t1_high": "mean_difference_low",
}
# Published analyses that no table of ours repeats.
NOWHERE = ("feature_auc",)
BETWEEN_JUDGES = {"judge_agreement": "raw_agreement", "judge_decisions_both": "n_both"}
TESTS = {"friedman_chi2": "statistic", "kendalls_w": "kendalls_w", "friedman_blocks": "n_blocks"}


def compare_figures(
    figures: pd.DataFrame, tables: Tables, primary: str, absent: Mapping[str, str], labels: Labels
) -> pd.DataFrame:
    """A row for each published figure.

    Parameters
    ----------
    figures : as `read_figures` gives them.
    tables : reads one of our tables, as the study's primary judge or another one gives it.
    primary : the study's own primary judge.
    absent : name of a model that the study leaves out -> why.
    labels : of which models the published and our figures have labels.
    """
    rows = [_compared(figure, tables, primary, absent, labels) for figure in records(figures)]
    return pd.DataFrame(rows, columns=list(COMPARED.columns))


def statement(compared: pd.DataFrame) -> list[str]:
    """How many of the printed figures, and of our own, come out: a sentence each."""
    said = []
    printed = compared["source"].isin(PRINTED)
    for rows, what in ((compared[printed], "as printed"), (compared[~printed], "recomputed or defined here")):
        counts = rows["outcome"].value_counts()
        known = len(rows) - counts.get(NO_NUMBER, 0)
        if known:
            within = int(((rows["outcome"] == "same") & (rows["tolerance"] == INSIDE)).sum())
            inside = f" ({within} by lying within a published interval)" if within else ""
            said.append(
                f"{known} {'figure' if known == 1 else 'figures'} {what}: {counts.get('same', 0)} the same{inside}, "
                f"{counts.get('differs', 0)} different with the reason, {counts.get(NOT_EXPLAINED, 0)} different and "
                f"not explained, {counts.get('absent', 0)} not obtainable from the data."
            )
        if NO_NUMBER in counts:
            said.append(f"{counts[NO_NUMBER]} more were printed, and their numbers are not at hand: ours stand alone.")
    return said


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows by column name."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _compared(
    figure: dict[str, Any], tables: Tables, primary: str, absent: Mapping[str, str], labels: Labels
) -> dict[str, Any]:
    place = place_of(figure, primary)
    ours = _look_up(place, tables)
    row = {name: figure[name] for name in COMPARED.columns if name in figure}
    row |= {"ours": ours, "table": f"{place.table}.{place.column}".strip("."), "why": figure["note"]}
    if math.isnan(ours):
        lacking = figure["reason"] or "our tables have no such figure: the data lack what it needs"
        reason = absent.get(slug(figure["model"]), lacking)
        return row | {"difference": math.nan, "outcome": "absent", "why": reason}
    if not figure["value"]:
        why = "; ".join(filter(None, ["printed figure not at hand", figure["note"]]))
        return row | {"difference": math.nan, "outcome": NO_NUMBER, "why": why}
    low, high = bounds(figure["value"], figure["tolerance"])
    nearest = min(max(ours, low), high) if figure["tolerance"] == INSIDE else float(figure["value"])
    row["difference"] = ours - nearest
    if low <= ours <= high:
        return row | {"outcome": "same"}
    lacking = [] if figure["model"] else labels.lacking(figure["judge"] or primary)
    fewer = f"over fewer models than published: without {', '.join(lacking)}" if lacking else ""
    if reason := "; ".join(filter(None, [fewer, figure["reason"]])):
        return row | {"outcome": "differs", "why": reason}
    unknown = "not explained: the labels differ from the published ones, or one of the two computations is wrong"
    return row | {"outcome": NOT_EXPLAINED, "why": "; ".join(filter(None, [unknown, figure["note"]]))}


def _look_up(place: Place, tables: Tables) -> float:
    if not place.table:
        return math.nan
    table = tables(place.table, place.primary)
    for column, value in place.where.items():
        empty = isinstance(value, float) and math.isnan(value)
        table = table[table[column].isna() if empty else table[column] == value]
    if len(table) > 1:
        raise ArtifactError(f"{place.table}: {len(table)} rows for {place.where}; compare studies of one intervention")
    return place.sign * float(table[place.column].iloc[0]) if len(table) else math.nan
