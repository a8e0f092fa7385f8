"""Tables of what interventions change against the control, paired by prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.comparison import DECIMALS, holm
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.estimates import OfEachColumn, Row, Scope, estimates
from refusal_stability.measures.sign_flips import sign_flip_p
from refusal_stability.measures.stability import COMPLY, REFUSE, describe, flips, rates, ssi, ssi_pairwise
from refusal_stability.measures.tables.settings import DECISION_NAMES, Settings
from refusal_stability.measures.tables.stability import names, scopes
from refusal_stability.records import NO_INTERVENTION, Decision

# What is tested; each has columns `<name>_p` and `<name>_p_holm`.
TESTED = (
    "mean_difference",
    "pct_flipped_difference",
    "safety_refuse_rate_difference",
    "safety_comply_rate_difference",
    "over_refusal_difference",
)
STABLE, UNSTABLE = "stable", "unstable"
TOWARDS = (Decision.REFUSE, Decision.COMPLY)


def control_of(groups: list[Group]) -> Group:
    """The group that a model's other groups are compared with: `none`, or the first where the study has no `none`."""
    return next((group for group in groups if group.intervention == NO_INTERVENTION), groups[0])


def _treated(study: DecisionArrays) -> Iterator[list[tuple[Group, Group]]]:
    """For each model, its (control, treatment) pairs of groups."""
    for model in dict.fromkeys(group.model for group in study.groups):
        groups = [group for group in study.groups if group.model == model]
        control = control_of(groups)
        yield [(control, group) for group in groups if group is not control]


def _sides(study: DecisionArrays, control: Group, group: Group) -> Iterator[tuple[float, Ints, Ints]]:
    """(temperature, counts of the control, counts of the treatment): pooled first, then each temperature."""
    for (temperature, first, _), (_, second, _) in zip(scopes(study, control), scopes(study, group), strict=True):
        yield temperature, first, second


def interventions(study: DecisionArrays, settings: Settings) -> list[Row]:
    """A row for each intervention but the control, and each temperature; Holm over the tests of a model.

    The rows that pool temperatures are one family, those of single temperatures another.
    """
    rows: list[Row] = []
    for pairs in _treated(study):
        pooled: list[Row] = []
        single: list[Row] = []
        for control, group in pairs:
            for temperature, first, second in _sides(study, control, group):
                place = names(group) | {"temperature": temperature, "control": control.intervention}
                row = place | change_row(first, second, study.benign, settings, *place.values())
                (pooled if np.isnan(temperature) else single).append(row)
        corrected = with_holm_of_changes([*pooled, *single])
        for _, group in pairs:
            rows += [row for row in corrected if row["intervention"] == group.intervention]
    return rows


def with_holm_of_changes(rows: Sequence[Row]) -> list[Row]:
    """One model's rows with corrected p values: the rows that pool temperatures are a family, the others another."""
    families = [[row for row in rows if np.isnan(row["temperature"]) == pooled] for pooled in (True, False)]
    return [row for family in families for row in _with_holm(family)]


def _with_holm(rows: list[Row]) -> list[Row]:
    """The rows of one family, whose tests are all those of all rows."""
    p_values = np.array([[row[f"{name}_p"] for name in TESTED] for row in rows]).reshape(len(rows), len(TESTED))
    corrected = holm(p_values.ravel()).reshape(p_values.shape).tolist()
    return [
        row | {f"{name}_p_holm": p for name, p in zip(TESTED, found, strict=True)}
        for row, found in zip(rows, corrected, strict=True)
    ]


def change_row(first: Ints, second: Ints, benign: NDArray[np.bool_], settings: Settings, *scope: object) -> Row:
    """What changes from the control's counts (P, 3) to the treatment's, over the prompts that both decided.

    The same resampled prompts serve both sides. Differences are treatment minus control.
    """
    both = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
    a, b, is_benign = first[both], second[both], benign[both]
    columns = _differences(a, b, is_benign)
    distinct = distinct_rows(np.round(np.column_stack(list(columns.values())), DECIMALS))
    rng = settings.resampling.rng("intervention tests", *scope)
    row = {
        "n_pairs": int(both.sum()),
        "n_benign": int(is_benign.sum()),
        "n_different": int((np.abs(columns["mean_difference"]) > 10.0**-DECIMALS).sum()),
        "mean_n_a": _mean(a.sum(axis=1)),
        "mean_n_b": _mean(b.sum(axis=1)),
        "mean_a": _mean(ssi(a)),
        "mean_b": _mean(ssi(b)),
    }
    row |= estimates(list(columns), OfEachColumn(distinct.rows), Scope(settings.resampling, distinct.weights))
    for name, values in zip(columns, distinct.rows.T, strict=True):
        if name in TESTED:
            known = ~np.isnan(values)
            row[f"{name}_p"] = sign_flip_p(values[known], distinct.weights[known], rng)
    return row | _counted(*_moves(a, b, settings))


def _differences(a: Ints, b: Ints, benign: NDArray[np.bool_]) -> dict[str, Floats]:
    """Each prompt's differences by column; NaN where the column is about other prompts."""
    change = rates(b) - rates(a)
    return {
        "mean_difference": ssi(b) - ssi(a),
        "mean_ssi_pairwise_difference": ssi_pairwise(b) - ssi_pairwise(a),
        "pct_flipped_difference": 100.0 * (flips(b).astype(np.float64) - flips(a)),
        "safety_refuse_rate_difference": np.where(benign, np.nan, change[:, REFUSE]),
        "safety_comply_rate_difference": np.where(benign, np.nan, change[:, COMPLY]),
        "over_refusal_difference": np.where(benign, change[:, REFUSE], np.nan),
    }


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _moves(a: Ints, b: Ints, settings: Settings) -> tuple[NDArray[Any], NDArray[Any]]:
    """What each prompt became (`stable`, `unstable` or nothing), and which decision it moved towards (or none)."""
    was, now = (describe(side, settings.threshold)["unstable"] for side in (a, b))
    leaning = [rates(side)[:, COMPLY] - rates(side)[:, REFUSE] for side in (a, b)]
    return _became(was, now), _towards(leaning[1] - leaning[0])


def _became(was: NDArray[np.bool_], now: NDArray[np.bool_]) -> NDArray[Any]:
    return np.where(was & ~now, STABLE, np.where(now & ~was, UNSTABLE, ""))


def _towards(change: Floats) -> NDArray[Any]:
    """The decision that each prompt's share of COMPLY less its share of REFUSE moves to: PARTIAL lies halfway."""
    shift = np.round(change, DECIMALS)
    return np.where(shift < 0, str(Decision.REFUSE), np.where(shift > 0, str(Decision.COMPLY), ""))


def moves_counted(was: NDArray[np.bool_], now: NDArray[np.bool_], change: Floats) -> Row:
    """How many prompts became stable or unstable, and where they moved; `change` is that of COMPLY less REFUSE."""
    return _counted(_became(was, now), _towards(change))


def _counted(became: NDArray[Any], towards: NDArray[Any]) -> Row:
    row: Row = {}
    for state in (STABLE, UNSTABLE):
        row[f"n_became_{state}"] = int((became == state).sum())
        for decision in TOWARDS:
            row[f"n_became_{state}_{decision.word}"] = int(((became == state) & (towards == str(decision))).sum())
    return row


def intervention_prompts(study: DecisionArrays, settings: Settings) -> list[Row]:
    """The prompts that an intervention made stable or unstable, pooled over temperatures and at each."""
    rows = []
    for control, group in (pair for pairs in _treated(study) for pair in pairs):
        for temperature, first, second in _sides(study, control, group):
            both = np.flatnonzero((first.sum(axis=1) > 0) & (second.sum(axis=1) > 0))
            became, towards = _moves(first[both], second[both], settings)
            sides = [describe(counts[both], settings.threshold) for counts in (first, second)]
            place = names(group) | {"temperature": temperature, "control": control.intervention}
            for i in np.flatnonzero(became != ""):
                rows.append(place | _prompt(study, int(both[i])) | {"became": became[i], "towards": towards[i]})
                for letter, side in zip("ab", sides, strict=True):
                    rows[-1][f"ssi_{letter}"] = float(side["ssi"][i])
                    rows[-1][f"majority_{letter}"] = DECISION_NAMES[side["majority"][i]]
    return rows


def _prompt(study: DecisionArrays, position: int) -> Row:
    return {
        "prompt_id": study.prompt_ids[position],
        "category": study.categories[position],
        "harm": "" if study.harms is None else study.harms[position],
    }
