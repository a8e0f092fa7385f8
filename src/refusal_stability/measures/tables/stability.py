"""Tables of stability itself: per prompt, and aggregated by model, temperature, configuration, judge and scoring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.measures.aggregate import SPEARMAN, aggregate_row, profile, safety_row, stability_row
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.distinct import Ints, distinct_rows
from refusal_stability.measures.estimates import Row, Scope, estimates, renamed
from refusal_stability.measures.posterior import fit_dirichlet, p_below
from refusal_stability.measures.stability import REFUSE, SCORINGS, K, below, describe, tally
from refusal_stability.measures.tables.settings import DECISION_NAMES, Settings
from refusal_stability.records import DECISIONS, MISSING, NOT_SAMPLED
from refusal_stability.tables.columns import POOLED

ALL_TEMPERATURES = float("nan")  # the temperature of rows that pool all temperatures
MOST_UNSTABLE = 10
CLUSTERS = np.array(["wavering", "steady refusal", "steady help", ""], dtype=object)


def names(group: Group) -> Row:
    """The columns that name a group."""
    return {"model": group.model, "intervention": group.intervention}


def scope_name(group: Group, temperature: float = ALL_TEMPERATURES, judge: str | None = None) -> tuple[object, ...]:
    """What a scope's resamples are named for: every table that shows the scope shares them.

    A study's only temperature is the scope of all temperatures.
    """
    pooled = group.codes.shape[1] == 1
    return (
        "prompts",
        group.model,
        group.intervention,
        judge or group.primary,
        ALL_TEMPERATURES if pooled else temperature,
    )


def scopes(study: DecisionArrays, group: Group, judge: str | None = None) -> Iterator[tuple[float, Ints, int]]:
    """(temperature, counts (P, K), responses asked for): all temperatures pooled, then each by itself.

    The counts are the primary judge's unless another is named.
    """
    counts = group.counts_by_temperature if judge in (None, group.primary) else tally(group.first(str(judge)))
    n_asked = group.sampled_by_temperature.sum(axis=0).tolist()
    yield ALL_TEMPERATURES, counts.sum(axis=1), sum(n_asked)
    for t, temperature in enumerate(study.temperatures):
        yield temperature, counts[:, t], n_asked[t]


def per_prompt_metrics(study: DecisionArrays, settings: Settings) -> Iterator[pd.DataFrame]:
    """A row for each model, intervention and prompt, over all configurations; a part for each of the former two."""
    for group in study.groups:
        columns, index = _prompt_figures(group.counts, settings)
        cluster = np.where(columns["unstable"], 0, np.where(columns["majority"] == str(DECISION_NAMES[REFUSE]), 1, 2))
        columns["cluster"] = CLUSTERS[np.where(columns["n"] > 0, cluster, 3)]
        frame = pd.DataFrame({name: values[index] for name, values in columns.items()})
        frame["n_missing"] = group.sampled_by_temperature.sum(axis=1) - frame["n"]
        place = names(group) | {"prompt_id": study.prompt_ids, "category": study.categories}
        place["harm"] = "" if study.harms is None else study.harms
        yield frame.assign(**place)


def per_prompt_temperature(study: DecisionArrays, settings: Settings) -> Iterator[pd.DataFrame]:
    """A row for each model, intervention, temperature and prompt, over the seeds: a part for each temperature."""
    for group in study.groups:
        for t, temperature in enumerate(study.temperatures):
            columns, index = _prompt_figures(group.counts_by_temperature[:, t], settings)
            frame = pd.DataFrame({name: values[index] for name, values in columns.items()})
            frame["n_missing"] = group.sampled_by_temperature[:, t] - frame["n"]
            yield frame.assign(**names(group), temperature=temperature, prompt_id=study.prompt_ids)


def least_stable_decisions(study: DecisionArrays, settings: Settings) -> pd.DataFrame:
    """Every decision on each group's least stable prompts: those that flip, the lowest ssi first.

    At most `MOST_UNSTABLE` prompts a group; of equal ssi, first those with more decisions, then by id. A response that
    was not sampled has no row.
    """
    frames: list[pd.DataFrame] = []
    for group in study.groups:
        figures = describe(group.counts, settings.threshold)
        flipped = np.flatnonzero(figures["flip"])
        if len(flipped) > MOST_UNSTABLE:
            # Of a million prompts, only those that are no more stable than the last one shown are put in order.
            reached = np.partition(figures["ssi"][flipped], MOST_UNSTABLE - 1)[MOST_UNSTABLE - 1]
            flipped = flipped[figures["ssi"][flipped] <= reached]
        ids = study.prompt_ids[flipped].astype(str)
        order = np.lexsort((ids, -figures["n"][flipped], figures["ssi"][flipped]))
        chosen = flipped[order][:MOST_UNSTABLE]
        axes: tuple[Any, ...] = (study.prompt_ids[chosen], study.temperatures, study.seeds)
        index = pd.MultiIndex.from_product(axes, names=["prompt_id", "temperature", "seed"])
        codes = group.codes[chosen].ravel()
        frame = pd.DataFrame({"decision": DECISION_NAMES[codes]}, index=index).reset_index()
        frames.append(frame.loc[codes != NOT_SAMPLED].assign(**names(group)))
    return pd.concat(frames, ignore_index=True)


def _prompt_figures(counts: Ints, settings: Settings) -> tuple[dict[str, Any], Ints]:
    """The per-prompt columns of the distinct count rows, and which of them each prompt shows."""
    distinct = distinct_rows(counts)
    columns: dict[str, Any] = describe(distinct.rows, settings.threshold)
    prior = fit_dirichlet(distinct.rows, distinct.weights)
    columns["majority"] = DECISION_NAMES[columns["majority"]]
    chance = p_below(distinct.rows, prior, settings.threshold)
    columns["p_unstable"] = np.where(columns["n"] > 0, chance, np.nan)
    return columns, distinct.index


def aggregates(study: DecisionArrays, settings: Settings) -> dict[str, list[Row]]:
    """The aggregates by judge and temperature; those of the primary judge are the tables by model and temperature."""
    tables: dict[str, list[Row]] = {"aggregate_by_model": [], "aggregate_by_temperature": [], "aggregate_by_judge": []}
    for group in study.groups:
        for judge in group.decisions:
            for temperature, counts, n_asked in scopes(study, group, judge):
                scope = scope_name(group, temperature, judge)
                figures = aggregate_row(counts, n_asked, settings.threshold, settings.resampling, *scope)
                figures |= safety_row(counts, study.benign, figures, settings.threshold, settings.resampling, *scope)
                place = names(group) | {"judge": judge, "temperature": temperature}
                tables["aggregate_by_judge"].append(place | figures)
                if judge != group.primary:
                    continue
                if np.isnan(temperature):
                    tables["aggregate_by_model"].append(names(group) | figures)
                else:
                    tables["aggregate_by_temperature"].append(names(group) | {"temperature": temperature} | figures)
    return tables


def aggregate_by_configuration(study: DecisionArrays, settings: Settings) -> list[Row]:
    """A row for each model, intervention, temperature and seed: its decisions, and how they sit with the majority."""
    rows = []
    for group in study.groups:
        majority = describe(group.counts, settings.threshold)["majority"]
        for t, temperature in enumerate(study.temperatures):
            for s, seed in enumerate(study.seeds):
                place = names(group) | {"temperature": temperature, "seed": seed}
                codes = group.codes[:, t, s]
                decided = codes >= 0
                code = codes[decided].astype(np.int64)
                row = place | {"n_responses": len(code), "n_missing": int((codes == MISSING).sum())}
                # named as the temperature's scope: one configuration at a temperature has the temperature's intervals
                row |= _configuration_rates(code, study.benign[decided], settings, scope_name(group, temperature))
                agrees = code == majority[decided]
                own = distinct_rows(agrees[:, None].astype(np.int64))
                where = Scope(settings.resampling, own.weights, ("configuration", *place.values()))
                row |= estimates(["agreement"], own.rows.astype(np.float64), where)
                row |= {"n_against_majority": int((~agrees).sum())}
                rows.append(row | {"n_flips_caused": _flips_caused(group.counts[decided], code)})
    return rows


def _configuration_rates(code: Ints, benign: NDArray[np.bool_], settings: Settings, scope: tuple[object, ...]) -> Row:
    counts = np.eye(K, dtype=np.int64)[code]
    whole = stability_row(counts, len(code), settings.threshold, settings.resampling, *scope, correlate=True)
    safety = safety_row(counts, benign, whole, settings.threshold, settings.resampling, *scope)
    figures = {name: value for name, value in safety.items() if not name.startswith(SPEARMAN)}
    for decision in DECISIONS:
        figures |= renamed(whole, f"mean_{decision.word}_rate", f"{decision.word}_rate")
    return figures


def _flips_caused(counts: Ints, code: Ints) -> int:
    # A flip is a configuration's doing where its decision is the only one of its kind and all the others agree.
    alone = counts[np.arange(len(code)), code] == 1
    return int((alone & ((counts > 0).sum(axis=1) == 2) & (counts.sum(axis=1) > 1)).sum())


def threshold_sensitivity(study: DecisionArrays, settings: Settings) -> list[Row]:
    """The share of unstable prompts under each threshold, all on the same resamples of a group."""
    rows = []
    for group in study.groups:
        seen = profile(group.counts, settings.threshold)
        unstable = np.column_stack([below(seen.figures["ssi"], level) for level in settings.thresholds])
        values = unstable.astype(np.float64) * 100
        columns = [f"pct_unstable {level}" for level in settings.thresholds]
        found = estimates(columns, values, Scope(settings.resampling, seen.weights, scope_name(group), shared=True))
        for i, level in enumerate(settings.thresholds):
            row = names(group) | {"threshold": level, "n_prompts": int(seen.weights.sum())}
            row["n_unstable"] = int(seen.weights @ unstable[:, i])
            rows.append(row | renamed(found, columns[i], "pct_unstable"))
    return rows


def binary_scoring(study: DecisionArrays, settings: Settings) -> list[Row]:
    """The stability figures of all decisions, and of two: what lies between counts as COMPLY or as REFUSE."""
    rows = []
    for group in study.groups:
        for scoring in SCORINGS:
            figures = stability_row(
                group.counts,
                int(group.sampled_by_temperature.sum()),
                settings.threshold,
                settings.resampling,
                *scope_name(group),
                scoring=scoring,
            )
            rows.append(names(group) | {"scoring": scoring} | figures)
    return rows


def missing_by_temperature(study: DecisionArrays, settings: Settings) -> list[Row]:
    """How many responses each judge left undecided at each temperature, by reason; none at a single temperature."""
    rows: list[Row] = []
    for group in study.groups if len(study.temperatures) > 1 else ():
        for judge, decisions in group.decisions.items():
            found = study.missing_at.get((group.model, group.intervention, judge), {})
            total: dict[str, int] = {}
            for reasons in found.values():
                total |= {reason: total.get(reason, 0) + n for reason, n in reasons.items()}
            for reason in sorted(total, key=lambda reason: (-total[reason], reason)):
                for position, temperature in enumerate(study.temperatures):
                    asked = int((decisions[:, position] != NOT_SAMPLED).sum())
                    n = found.get(temperature, {}).get(reason, 0)
                    place = names(group) | {"temperature": temperature, "judge": judge, "missing_reason": reason}
                    rows.append(place | {"n_missing": n, "missing_share": n / asked if asked else float("nan")})
    return rows


def missing(study: DecisionArrays, settings: Settings) -> list[Row]:
    """How many responses each judge left undecided, in total (`*`) and by reason, the commonest first."""
    rows = []
    for group in study.groups:
        judged = [
            judge
            for model, intervention, judge in study.missing
            if (model, intervention) == (group.model, group.intervention)
        ]
        for judge in dict.fromkeys([*group.decisions, *judged]):
            reasons = study.missing.get((group.model, group.intervention, judge), {})
            ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
            total = sum(reasons.values())
            # A judge without any decision on a model has no cube there: all that it was to decide is missing.
            asked = int((group.decisions[judge] != NOT_SAMPLED).sum()) if judge in group.decisions else total
            for reason, n in [(POOLED, total), *ordered]:
                place = names(group) | {"judge": judge, "missing_reason": reason}
                rows.append(place | {"n_missing": n, "missing_share": n / asked if asked else float("nan")})
    return rows
