"""Tables of what adaptive sampling did: samples spent, why prompts stopped, and its estimates beside naive figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from refusal_stability.measures.adaptive.audit import audited_verdicts, exact_interval
from refusal_stability.measures.adaptive.estimates import estimate_prompts
from refusal_stability.measures.adaptive.figures import every_figure, figures_of
from refusal_stability.measures.adaptive.rounds import Sampled
from refusal_stability.measures.adaptive.rules import REASON_NAMES, VERDICT_NAMES
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.estimates import Row
from refusal_stability.measures.tables.estimated import Groups, SampledGroup
from refusal_stability.measures.tables.settings import Settings

CALLED = ("n_undecided", "n_called_stable", "n_called_unstable")  # in the order of the verdicts


def estimate_groups(
    study: DecisionArrays, settings: Settings, sampled: Mapping[tuple[str, str], Sampled]
) -> dict[tuple[str, str], SampledGroup]:
    """Every model and intervention with what the full grid would show of its prompts."""
    figures = every_figure(study.temperatures, settings.thresholds)
    confidence = settings.resampling.confidence
    found = {}
    for names, one in sampled.items():
        rng = settings.resampling.rng("adaptive", *names)
        found[names] = SampledGroup(one, estimate_prompts(one, study.temperatures, figures, rng), confidence)
    return found


def adaptive(study: DecisionArrays, groups: Groups) -> list[Row]:
    """A row for each model and intervention: the rule, its bound, samples spent and saved, verdicts."""
    rows = []
    for (model, intervention), group in groups.items():
        one = group.sampled
        spent, grid = int(one.spent.sum()), int(one.codes.size)
        rows.append(
            {
                "model": model,
                "intervention": intervention,
                "stopping_rule": one.rule.name,
                "alpha": one.rule.alpha if one.rule.name in ("population", "each_prompt") else np.nan,
                "n_samples": spent,
                "n_grid": grid,
                "pct_saved": 100 * (1 - spent / grid),
                **{column: int((one.verdict == code).sum()) for code, column in enumerate(CALLED)},
                "n_audited": int(one.design.audited.sum()),
            }
        )
    return rows


def adaptive_stops(study: DecisionArrays, groups: Groups) -> list[Row]:
    """A row for each verdict and reason: how many prompts stopped so, and after how many samples."""
    rows = []
    for (model, intervention), group in groups.items():
        one = group.sampled
        for verdict, reason in sorted(set(zip(one.verdict.tolist(), one.reason.tolist(), strict=True)), reverse=True):
            here = (one.verdict == verdict) & (one.reason == reason)
            row: Row = {"model": model, "intervention": intervention}
            row |= {
                "verdict": VERDICT_NAMES[verdict],
                "stop_reason": REASON_NAMES[reason],
                "n_stopped": int(here.sum()),
            }
            rows.append(row | {"mean_taken": float(one.taken[here].mean())})
    return rows


def adaptive_audit(study: DecisionArrays, groups: Groups) -> list[Row]:
    """A row for audited prompts whose full grids are stable, and one for unstable ones: how many got which verdict."""
    rows = []
    for (model, intervention), group in groups.items():
        one = group.sampled
        audit = audited_verdicts(one.verdict, one.codes, one.design.audited, one.rule.threshold)
        for truth, name in enumerate(VERDICT_NAMES[1:]):
            wrong, n = audit.errors(truth)
            low, high = exact_interval(wrong, n, group.confidence)
            row: Row = {"model": model, "intervention": intervention, "full_grid": name, "n_in_audit": n}
            row |= {column: int(audit.counts[truth, code]) for code, column in enumerate(CALLED)}
            row |= {"pct_called_wrong": 100 * wrong / n if n else np.nan}
            rows.append(row | {"wrong_from": 100 * low, "wrong_to": 100 * high})
    return rows


def adaptive_prompts(study: DecisionArrays, groups: Groups) -> list[Row]:
    """A row for each prompt: samples spent, verdict, and why it stopped."""
    rows = []
    for (model, intervention), group in groups.items():
        one, chance = group.sampled, group.of_prompts("pct_unstable") / 100
        spent = one.spent
        rows += [
            {
                "model": model,
                "intervention": intervention,
                "prompt_id": prompt,
                "n_spent": int(spent[i]),
                "verdict": VERDICT_NAMES[one.verdict[i]],
                "stop_reason": REASON_NAMES[one.reason[i]],
                "audited": bool(one.design.audited[i]),
                "p_verdict_unstable": float(chance[i]),
            }
            for i, prompt in enumerate(study.prompt_ids)
        ]
    return rows


def adaptive_estimates(study: DecisionArrays, groups: Groups) -> list[Row]:
    """The headline figures: estimated, predicted without the audit, and of the samples as they are."""
    rows = []
    every = np.ones(len(study.prompt_ids), dtype=bool)
    for (model, intervention), group in groups.items():
        for figure in figures_of(study.temperatures):
            if figure.between:
                continue
            at = group.place(figure.column, figure.temperature)
            row: Row = {"model": model, "intervention": intervention}
            row |= {"estimated_figure": figure.column, "temperature": figure.temperature}
            with np.errstate(invalid="ignore"):
                row |= {"as_sampled": float(np.nanmean(group.found.seen[:, at]))}
            row |= {"predicted": float(np.nanmean(group.found.model[:, at]))}
            found = group.estimate("estimate", at, every)
            row |= {"estimate_from": found["estimate_low"], "estimate_to": found["estimate_high"]}
            rows.append(row | {"estimate": found["estimate"]})
    return rows
