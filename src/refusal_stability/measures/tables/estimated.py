"""What the metric tables hold of a study sampled by rounds: estimates of its full grid in place of naive figures.

Prompts stop after unequal numbers of samples, and those that stop early are the stable ones. A figure of the samples as
they are is therefore no figure of the study. Each table is either about what was asked, or estimated, or left empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.measures.adaptive.estimate_intervals import Estimate, interval_of_difference, p_of_no_change
from refusal_stability.measures.adaptive.estimates import PromptEstimates, figure_estimate, mean_over
from refusal_stability.measures.adaptive.rounds import Mask, Sampled
from refusal_stability.measures.aggregate import MEANS
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.estimates import Row
from refusal_stability.measures.stability import COMPLY, REFUSE
from refusal_stability.measures.tables.categories import membership
from refusal_stability.measures.tables.interventions import moves_counted, with_holm_of_changes
from refusal_stability.records import DECISIONS
from refusal_stability.tables.metrics import ESTIMATED_TABLES, METRIC_TABLES

# Tables about what was asked and answered: true of the samples as they are.
AS_SAMPLED = (
    *("missing", "missing_by_temperature", "outcomes", "outcomes_by_configuration", "least_stable_decisions"),
    *("judge_noise", "judge_agreement", "judge_confusion", "judge_by_decision"),
    *("adaptive", "adaptive_stops", "adaptive_audit", "adaptive_prompts", "adaptive_estimates"),
)
CLUSTERS = ("wavering", "steady refusal", "steady help")
NOWHERE = float("nan")


@dataclass(frozen=True)
class SampledGroup:
    """One model under one intervention: what its rule saw, and what the full grid would show of each prompt."""

    sampled: Sampled
    found: PromptEstimates
    confidence: float

    def place(
        self, column: str, temperature: float = NOWHERE, threshold: float = NOWHERE, between: tuple[float, ...] = ()
    ) -> int:
        """Which of the estimated figures this is."""
        wanted = (column, repr(float(temperature)), repr(float(threshold)), between)
        for position, one in enumerate(self.found.figures):
            if (one.column, repr(float(one.temperature)), repr(float(one.threshold)), one.between) == wanted:
                return position
        raise KeyError(wanted)

    def of_prompts(self, column: str, temperature: float = NOWHERE) -> Floats:
        """(P,) what is expected of each prompt."""
        return self.found.mean[:, self.place(column, temperature)]

    def estimate(self, name: str, position: int, among: Mask) -> Row:
        """A figure's mean over some prompts with its interval, under a column's name."""
        return _named(name, figure_estimate(self.found, position, among, self.confidence))

    def against(self, first: SampledGroup, name: str, column: str, temperature: float, among: Mask) -> Row:
        """The mean difference from another group, paired by prompt."""
        position = self.place(column, temperature)
        groups = (self.found, first.found)
        among = among & ~np.isnan(groups[0].value[:, position] - groups[1].value[:, position])
        found = mean_over([(1.0, groups[0]), (-1.0, groups[1])], position, among)
        sides = [
            (mean_over([(1.0, one)], position, among), figure_estimate(one, position, among, self.confidence))
            for one in groups
        ]
        return _named(name, interval_of_difference(found, *sides)) | {f"{name}_p": p_of_no_change(found)}


Groups = Mapping[tuple[str, str], SampledGroup]


def _named(name: str, found: Estimate) -> Row:
    return dict(zip((name, f"{name}_low", f"{name}_high"), found.ends, strict=True))


def with_estimates(name: str, table: pd.DataFrame, study: DecisionArrays, groups: Groups) -> pd.DataFrame:
    """A metric table as a study sampled by rounds shows it; without rounds, the table itself.

    Parameters
    ----------
    name : a key of `METRIC_TABLES`.
    table : of the samples as they are.
    study : the decisions.
    groups : every model and intervention; empty for a full grid.

    Returns
    -------
    pandas.DataFrame
        Without rows where the table can be neither estimated nor shown as it is. Numbers without an estimate are empty.
    """
    if name in ESTIMATED_TABLES and len(table):
        table = table.assign(estimated=False)
    if not groups or name in AS_SAMPLED:
        return table
    if name not in ESTIMATED_TABLES:
        return table.iloc[:0]
    if name in PER_PROMPT:
        return PER_PROMPT[name](table, groups)
    key = METRIC_TABLES[name][1].key
    empty = {c: NOWHERE for c, kind in METRIC_TABLES[name][1].columns.items() if kind == "number" and c not in key}
    rows: list[Row] = []
    for row in table.to_dict("records"):
        seen: Row = {str(column): value for column, value in row.items()}
        estimated = ROWS[name](seen, study, groups)
        if estimated is not None:
            rows.append(seen | empty | estimated)
    return pd.DataFrame(_corrected(rows) if name == "interventions" else rows, columns=table.columns)


def _corrected(rows: list[Row]) -> list[Row]:
    """The rows of `interventions`, in their order, with p values corrected over each model's tests."""
    found = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        for row in with_holm_of_changes([row for row in rows if row["model"] == model]):
            found[model, row["intervention"], repr(row["temperature"])] = row
    return [found[row["model"], row["intervention"], repr(row["temperature"])] for row in rows]


def _aggregate(row: Row, study: DecisionArrays, groups: Groups) -> Row | None:
    """The aggregates over all prompts, or over those of a kind of harm or a category."""
    group = groups.get((row["model"], row["intervention"]))
    if group is None:
        return None
    if row.get("judge", row.get("primary_judge")) != _primary(row, study):
        return {}
    among = _among(row, study)
    temperature = row.get("temperature", NOWHERE)
    found: Row = {"estimated": True, "n_prompts": int(among.sum())}
    for name in MEANS:
        found |= group.estimate(name, group.place(name, temperature), among)
    if "safety_refuse_rate" in row:
        for decision in DECISIONS:
            position = group.place(f"mean_{decision.word}_rate", temperature)
            found |= group.estimate(f"safety_{decision.word}_rate", position, among & ~study.benign)
        position = group.place("mean_refuse_rate", temperature)
        found |= group.estimate("over_refusal", position, among & study.benign)
    if "n_wavering" in row:
        found |= _cluster_counts(_clusters(group, temperature)[among], found["pct_unstable"])
    return found


def _primary(row: Row, study: DecisionArrays) -> str:
    return next(group.primary for group in study.groups if group.model == row["model"])


def _among(row: Row, study: DecisionArrays) -> Mask:
    """The prompts that a row is about."""
    among = np.ones(len(study.prompt_ids), dtype=bool)
    if "category" in row:
        names, member = membership(study.categories)
        among &= member[:, names.index(row["category"])]
    if "harm" in row:
        among &= study.harms == row["harm"]
    return among


def _clusters(group: SampledGroup, temperature: float) -> Any:
    """Position of each prompt's cluster in `CLUSTERS`, as is expected of its full grid."""
    shares = np.column_stack([group.of_prompts(f"mean_{d.word}_rate", temperature) for d in DECISIONS])
    unstable = group.of_prompts("pct_unstable", temperature) >= 50
    return np.where(unstable, 0, np.where(np.argmax(np.nan_to_num(shares), axis=1) == REFUSE, 1, 2))


def _cluster_counts(cluster: Any, pct_unstable: float) -> Row:
    """How many prompts are in each cluster: as many waver as are estimated to be unstable."""
    n, n_refusal = len(cluster), int((cluster == 1).sum())
    wavering = 0 if np.isnan(pct_unstable) else round(pct_unstable / 100 * n)
    steady = max(n_refusal + int((cluster == 2).sum()), 1)
    refusal = round((n - wavering) * n_refusal / steady)
    return {"n_wavering": wavering, "n_steady_refusal": refusal, "n_steady_help": n - wavering - refusal}


def _configuration(row: Row, study: DecisionArrays, groups: Groups) -> Row:
    return {}


def _threshold(row: Row, study: DecisionArrays, groups: Groups) -> Row:
    group, every = groups[row["model"], row["intervention"]], np.ones(len(study.prompt_ids), dtype=bool)
    found = group.estimate("pct_unstable", group.place("pct_unstable", threshold=row["threshold"]), every)
    n_unstable = round(found["pct_unstable"] / 100 * len(every))
    return {"estimated": True, "n_prompts": len(every), "n_unstable": n_unstable} | found


def _temperature_pair(row: Row, study: DecisionArrays, groups: Groups) -> Row | None:
    group = groups.get((row["model"], row["intervention"]))
    if group is None:
        return None
    every = np.ones(len(study.prompt_ids), dtype=bool)
    between = (row["temperature_a"], row["temperature_b"])
    found: Row = {"estimated": True, "n_pairs": len(every)}
    for side, temperature in zip("ab", between, strict=True):
        found[f"mean_{side}"] = group.estimate("mean", group.place("mean_ssi", temperature), every)["mean"]
    for name in ("mean_difference", "mean_ssi_pairwise_difference"):
        found |= group.estimate(name, group.place(name, between=between), every)
    return found | {"n_different": 0}


def _model_pair(row: Row, study: DecisionArrays, groups: Groups) -> Row:
    sides = [groups[row[f"model_{side}"], row[f"intervention_{side}"]] for side in "ab"]
    every = np.ones(len(study.prompt_ids), dtype=bool)
    found: Row = {"estimated": True, "n_pairs": len(every), "n_different": 0}
    for side, group in zip("ab", sides, strict=True):
        found[f"mean_{side}"] = group.estimate("mean", group.place("mean_ssi"), every)["mean"]
    for column in ("mean_ssi", "mean_ssi_pairwise", "pct_flipped", "mean_refuse_rate"):
        name = "mean_difference" if column == "mean_ssi" else f"{column}_difference"
        found |= sides[1].against(sides[0], name, column, NOWHERE, every)
    return found


def _intervention(row: Row, study: DecisionArrays, groups: Groups) -> Row:
    control, group = (groups[row["model"], row[side]] for side in ("control", "intervention"))
    every, temperature = np.ones(len(study.prompt_ids), dtype=bool), row["temperature"]
    found: Row = {"estimated": True, "n_pairs": len(every), "n_benign": int(study.benign.sum()), "n_different": 0}
    for side, one in zip("ab", (control, group), strict=True):
        found[f"mean_{side}"] = one.estimate("mean", one.place("mean_ssi", temperature), every)["mean"]
    for name, column, among in (
        ("mean_difference", "mean_ssi", every),
        ("mean_ssi_pairwise_difference", "mean_ssi_pairwise", every),
        ("pct_flipped_difference", "pct_flipped", every),
        ("safety_refuse_rate_difference", "mean_refuse_rate", ~study.benign),
        ("safety_comply_rate_difference", "mean_comply_rate", ~study.benign),
        ("over_refusal_difference", "mean_refuse_rate", study.benign),
    ):
        found |= group.against(control, name, column, temperature, among)
    was, now = (one.of_prompts("pct_unstable", temperature) >= 50 for one in (control, group))
    words = [DECISIONS[code].word for code in (COMPLY, REFUSE)]
    leaning = [
        one.of_prompts(f"mean_{words[0]}_rate", temperature) - one.of_prompts(f"mean_{words[1]}_rate", temperature)
        for one in (control, group)
    ]
    return found | moves_counted(was, now, leaning[1] - leaning[0])


ROWS: dict[str, Callable[[Row, DecisionArrays, Groups], Row | None]] = {
    **dict.fromkeys(("aggregate_by_model", "aggregate_by_temperature", "aggregate_by_judge"), _aggregate),
    **dict.fromkeys(("aggregate_by_harm", "categories"), _aggregate),
    "aggregate_by_configuration": _configuration,
    "threshold_sensitivity": _threshold,
    "temperature_pairs": _temperature_pair,
    "model_pairs": _model_pair,
    "interventions": _intervention,
}


def _per_prompt(table: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """What is expected of each prompt's full grid; `flip` and `majority` are what was seen."""
    parts = []
    for (model, intervention), rows in table.groupby(["model", "intervention"], sort=False):
        group = groups[str(model), str(intervention)]
        if "temperature" in rows:
            at = [(temperature, part) for temperature, part in rows.groupby("temperature", sort=False)]
            parts += [_expected(part, group, float(str(temperature))) for temperature, part in at]
        else:
            whole = _expected(rows, group, NOWHERE)
            cluster = np.array(CLUSTERS, dtype=object)[_clusters(group, NOWHERE)]
            parts.append(whole.assign(cluster=np.where(rows["n"] > 0, cluster, rows["cluster"])))
    return pd.concat(parts, ignore_index=True)


def _expected(rows: pd.DataFrame, group: SampledGroup, temperature: float) -> pd.DataFrame:
    figures = {
        figure: group.of_prompts(name, temperature) / factor
        for name, (figure, factor) in MEANS.items()
        if figure not in ("flip", "unstable")
    }
    chance = group.of_prompts("pct_unstable", temperature) / 100
    found = rows.assign(**figures, unstable=chance >= 0.5, estimated=group.found.stopped)
    return found.assign(p_unstable=chance) if "p_unstable" in rows else found


PER_PROMPT: dict[str, Callable[[pd.DataFrame, Groups], pd.DataFrame]] = {
    "per_prompt_metrics": _per_prompt,
    "per_prompt_temperature": _per_prompt,
}
