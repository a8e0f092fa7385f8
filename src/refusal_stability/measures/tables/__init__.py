"""The metric tables, each built from a study's decisions: functions from arrays to rows, no file and no parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
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

# Builders of several tables, of one table, and of one that has a row for every prompt and comes in parts.
SEVERAL: dict[str, Callable[[DecisionArrays, Settings], Mapping[str, Rows]]] = {
    "aggregate_by_judge": stability.aggregates,
    "sample_size": samples.sample_sizes,
    "judge_agreement": judges.agreements,
}
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
    "least_stable_decisions": stability.least_stable_decisions,
}
IN_PARTS: dict[str, Callable[[DecisionArrays, Settings], Iterator[pd.DataFrame]]] = {
    "per_prompt_metrics": stability.per_prompt_metrics,
    "per_prompt_temperature": stability.per_prompt_temperature,
}
OF_ROUNDS: dict[str, Callable[[DecisionArrays, Groups], Rows]] = {
    "adaptive": adaptive.adaptive,
    "adaptive_stops": adaptive.adaptive_stops,
    "adaptive_audit": adaptive.adaptive_audit,
    "adaptive_prompts": adaptive.adaptive_prompts,
    "adaptive_estimates": adaptive.adaptive_estimates,
}
# Builders that one thread runs after each other: they use the same resamples, silence warnings (which Python does for
# all threads at once), or hold much memory. The longest runs come first.
TOGETHER = (
    ("category_tests",),
    (
        "aggregate_by_judge",
        "aggregate_by_harm",
        "aggregate_by_configuration",
        "threshold_sensitivity",
        "binary_scoring",
    ),
    ("judge_agreement",),
    ("temperature_pairs", "model_pairs", "interventions"),
    ("per_prompt_metrics", "per_prompt_temperature"),
    ("tail_forecast",),
    ("categories",),
)

Part = tuple[str, pd.DataFrame]


def table_tasks(
    study: DecisionArrays, settings: Settings, sampled: Mapping[tuple[str, str], Sampled] | None = None
) -> list[Callable[[], Iterator[Part]]]:
    """What builds the metric tables: tasks that threads may run in any order and at once, with the same tables.

    Each gives parts of tables: a name and rows, the parts of one table after each other. `sampled` is what was seen of
    each model and intervention of a study sampled by rounds.
    """
    primary = {group.model: group.primary for group in study.groups}
    groups = estimate_groups(study, settings, sampled or {})

    def parts(builder: str) -> Iterator[Part]:
        if builder in OF_ROUNDS:
            yield builder, _frame(OF_ROUNDS[builder](study, groups), primary)
            return
        built: Iterable[tuple[str, Rows]]
        if builder in SEVERAL:
            built = SEVERAL[builder](study, settings).items()
        elif builder in IN_PARTS:
            built = ((builder, part) for part in IN_PARTS[builder](study, settings))
        else:
            built = [(builder, ONE[builder](study, settings))]
        for name, rows in built:
            yield name, with_estimates(name, _frame(rows, primary), study, groups)

    def task(builders: Sequence[str]) -> Iterator[Part]:
        return chain.from_iterable(map(parts, builders))

    others = [name for name in (*SEVERAL, *ONE, *IN_PARTS, *OF_ROUNDS) if not any(name in some for some in TOGETHER)]
    return [partial(task, builders) for builders in (*TOGETHER, *((name,) for name in others))]


def build_tables(
    study: DecisionArrays, settings: Settings, sampled: Mapping[tuple[str, str], Sampled] | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every metric table by name, whole, one after another."""
    for task in table_tasks(study, settings, sampled):
        for name, parts in groupby(task(), key=itemgetter(0)):
            tables = [table for _, table in parts]
            yield name, tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


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
