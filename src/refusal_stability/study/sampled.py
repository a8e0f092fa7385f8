"""Adaptive sampling as `params.yaml` and the table of samples describe it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refusal_stability.files import ArtifactError
from refusal_stability.measures.adaptive.population import fit_population
from refusal_stability.measures.adaptive.rounds import (
    Design,
    Sampled,
    designed,
    first_samples,
    least_budget,
    states_of,
)
from refusal_stability.measures.adaptive.rules import REASON_NAMES, VERDICT_NAMES, StoppingRule
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.distinct import Floats
from refusal_stability.params.adaptive import order_of
from refusal_stability.params.checks import require
from refusal_stability.params.study import StudyParams
from refusal_stability.records import NOT_SAMPLED
from refusal_stability.study.predicted import predicted_instability
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.sampled import SAMPLED_TABLE, sampled_file


def stopping_rule_of(params: StudyParams) -> StoppingRule:
    """The study's rule."""
    ((name, chosen),) = params.sampling.adaptive.items()
    first = first_samples(len(params.sampling.temperatures), len(params.sampling.seeds))
    return StoppingRule(name, chosen.alpha, params.metrics.threshold, first, chosen.batch, chosen.audit, chosen.budget)


def design_of(params: StudyParams, n_prompts: int) -> tuple[Design, np.random.Generator]:
    """The order and the audit, which are those of every model and intervention, and the generator that drew them."""
    ((name, chosen),) = params.sampling.adaptive.items()
    rng = np.random.default_rng(chosen.seed)
    n_seeds, order = len(params.sampling.seeds), order_of(name, chosen)
    rule = stopping_rule_of(params)
    design = designed(params.sampling.temperatures, n_seeds, n_prompts, rule, order, rng)
    least = least_budget(design, rule)
    allowed = f"at least {least:g}, which the audit and each prompt's first samples take"
    require(rule.budget is None or rule.budget >= least, f"sampling.adaptive.{name}.budget", rule.budget, allowed)
    return design, rng


def predictions_of(params: StudyParams, model: str, intervention: str, prompt_ids: list[str]) -> Floats | None:
    """Each prompt's predicted chance of being unstable, NaN for one without; None where the study starts from none."""
    ((_, chosen),) = params.sampling.adaptive.items()
    if chosen.predictions is None:
        return None
    told = predicted_instability(model, intervention, "p_unstable", Path(chosen.predictions))
    return np.array([told.get(prompt, np.nan) for prompt in prompt_ids])


def read_sampled(params: StudyParams, study: DecisionArrays) -> dict[tuple[str, str], Sampled]:
    """What the rule saw, by model and intervention, from the decisions and the tables of samples; empty without a rule.

    The population is fitted anew, to the decisions that the metrics are computed from.
    """
    if not params.sampling.adaptive:
        return {}
    return {(group.model, group.intervention): _sampled(params, study, group) for group in study.groups}


def _sampled(params: StudyParams, study: DecisionArrays, group: Group) -> Sampled:
    path = sampled_file(group.model)
    table = read_table(path, SAMPLED_TABLE)
    rows = table[table["intervention"] == group.intervention].set_index("prompt_id").reindex(study.prompt_ids)
    design, _ = design_of(params, len(study.prompt_ids))
    taken = rows["taken"].fillna(-1).to_numpy().astype(np.int64)
    verdict, reason = (
        rows[column].map({name: code for code, name in enumerate(names)}).fillna(-1).to_numpy().astype(np.int8)
        for column, names in (("verdict", VERDICT_NAMES), ("reason", REASON_NAMES))
    )
    fits = ((group.codes != NOT_SAMPLED) == (design.taken(taken) | design.audited[:, None, None])).all(axis=(1, 2))
    fits &= (verdict >= 0) & (reason >= 0)
    if not fits.all():
        raise ArtifactError(
            f"{path}: prompt {study.prompt_ids[int(np.argmin(fits))]}: its samples are not those of {group.model}'s "
            f"generation files; run `dvc repro generate@{group.model}`"
        )
    population = fit_population(states_of(group.codes, design, taken).counts, design.hottest)
    return Sampled(design, stopping_rule_of(params), group.codes, taken, verdict, reason, population)
