"""The metric tables, each built from a study's decisions: functions from arrays to rows, no file and no parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from refusal_stability.measures.adaptive.rounds import Sampled
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.tables import (
    adaptive,
    categories,
    harm,
    interventions,
    judges,
    outcomes,
    pairs,
    phrasings,
    samples,
    sources,
    stability,
    subsampling,
    temperature,
    thinking,
    zero_events,
)
from refusal_stability.measures.tables.adaptive import estimate_groups
from refusal_stability.measures.tables.estimated import Groups, with_estimates
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.tables.columns import POOLED

Rows = Sequence[dict[str, Any]] | pd.DataFrame

# Each of these builds several tables at once.
SEVERAL: tuple[Callable[[DecisionArrays, Settings], Mapping[str, Rows]], ...] = (
    stability.aggregates,
    samples.sample_sizes,
    judges.agreements,
)
ONE: dict[str, Callable[[DecisionArrays, Settings], Rows]] = {
    "aggregate_by_harm": harm.aggregate_by_harm,
    "aggregate_by_configuration": stability.aggregate_by_configuration,
    "threshold_sensitivity": stability.threshold_sensitivity,
    "binary_scoring": stability.binary_scoring,
    "missing": stability.missing,
    "missing_by_temperature": stability.missing_by_temperature,
    "outcomes": outcomes.outcomes,
    "outcomes_by_configuration": outcomes.outcomes_by_configuration,
    "blocks": outcomes.blocks,
    "zero_events": zero_events.zero_events,
    "thinking_decisions": thinking.thinking_decisions,
    "temperature_tests": temperature.temperature_tests,
    "temperature_pairs": temperature.temperature_pairs,
    "model_pairs": pairs.model_pairs,
    "interventions": interventions.interventions,
    "intervention_prompts": interventions.intervention_prompts,
    "stability_by_draws": subsampling.stability_by_draws,
    "tail_risk": samples.tail_risk,
    "tail_risk_draws": samples.tail_risk_draws,
    "tail_forecast": samples.tail_forecast,
    "decomposition": sources.decomposition,
    "t0_determinism": sources.t0_determinism,
    "judge_noise": sources.judge_noise,
    "intents": phrasings.intents,
    "intent_components": phrasings.intent_components,
    "consensus_stability": judges.consensus_stability,
    "categories": categories.categories,
    "category_tests": categories.category_tests,
    "per_prompt_metrics": stability.per_prompt_metrics,
    "per_prompt_temperature": stability.per_prompt_temperature,
    "least_stable_decisions": stability.least_stable_decisions,
}

OF_ROUNDS: dict[str, Callable[[DecisionArrays, Groups], Rows]] = {
    "adaptive": adaptive.adaptive,
    "adaptive_stops": adaptive.adaptive_stops,
    "adaptive_audit": adaptive.adaptive_audit,
    "adaptive_prompts": adaptive.adaptive_prompts,
    "adaptive_estimates": adaptive.adaptive_estimates,
}


def build_tables(
    study: DecisionArrays, settings: Settings, sampled: Mapping[tuple[str, str], Sampled] | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every metric table by name, one at a time, so that two large ones never share the memory.

    `sampled` is what was seen of each model and intervention of a study sampled by rounds.
    """
    primary = {group.model: group.primary for group in study.groups}
    groups = estimate_groups(study, settings, sampled or {})
    for build_several in SEVERAL:
        for name, rows in build_several(study, settings).items():
            yield name, with_estimates(name, _frame(rows, primary), study, groups)
    for name, build in ONE.items():
        yield name, with_estimates(name, _frame(build(study, settings), primary), study, groups)
    for name, build_rounds in OF_ROUNDS.items():
        yield name, _frame(build_rounds(study, groups), primary)


def _frame(rows: Rows, primary: Mapping[str, str]) -> pd.DataFrame:
    """The rows as a table that states the primary judge; one that is about judges names its own."""
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    if "model_a" in table.columns:
        sides = zip(table["model_a"], table["model_b"], strict=True)
        return table.assign(primary_judge=[_joined([primary[a], primary[b]]) for a, b in sides])
    if "model" not in table.columns or any("judge" in name for name in table.columns):
        return table
    return table.assign(primary_judge=table["model"].map({**primary, POOLED: _joined(primary.values())}))


def _joined(judges: Iterable[str]) -> str:
    return "+".join(dict.fromkeys(judges))
