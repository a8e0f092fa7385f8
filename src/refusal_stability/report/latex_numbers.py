"""Every number of a study by a name made of words, for a paper to quote: the metric tables and the study's design.

Tables with a row for each prompt, curves and counts of judges' confusions are left out: a paper shows them but does not
quote them. So is `adaptive_estimates`, which repeats figures of the aggregates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from refusal_stability.records import DECISIONS, NO_INTERVENTION
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.tables.columns import COLUMNS, POOLED, Column
from refusal_stability.tables.metrics import METRIC_TABLES
from refusal_stability.tables.number_format import Row, p_value

Words = tuple[str, ...]


@dataclass(frozen=True)
class Quoted:
    """A table whose numbers get macros: `about` names a row, and its columns' `macro` names each number.

    `renamed` gives columns other words than their own in this table, or with None no macro.
    """

    table: str
    about: Callable[[Row], Words]
    only: Callable[[Row], bool] = field(default=lambda _: True)
    renamed: Mapping[str, str | None] = field(default_factory=dict)


def _who(row: Row, side: str = "") -> Words:
    model, intervention = row[f"model{side}"], row[f"intervention{side}"]
    if model == POOLED:
        return ("all models",)
    return (model,) if intervention == NO_INTERVENTION else (model, intervention)


def _at(value: float, words: str) -> str:
    return f"{words} {value:g}".replace(".", " point ")


def _scope(row: Row) -> Words:
    """Model and, where the row is about one temperature, that temperature."""
    return _who(row) + (() if math.isnan(row["temperature"]) else (_at(row["temperature"], "t"),))


def _between(row: Row) -> Words:
    return ("from", *_who(row, "_a"), "to", *_who(row, "_b"))


def _warmed(row: Row) -> Words:
    return (*_who(row), _at(row["temperature_a"], "from t"), _at(row["temperature_b"], "to t"))


def _category(row: Row) -> Words:
    return (*_who(row), "category", "all" if row["category"] == POOLED else row["category"])


def _judges(row: Row) -> Words:
    pair = ("panel",) if row["judge_a"] == POOLED else (row["judge_a"], "and", row["judge_b"])
    return ("judges", *pair, *_who(row))


def _decision(row: Row) -> Words:
    return (*_judges(row), "mean" if row["decision"] == POOLED else row["decision"].lower())


def _judge(row: Row) -> Words:
    return (*_who(row), "judge", row["judge"])


def _thinking(row: Row) -> Words:
    thought, answer = ((row[name] or "missing").lower() for name in ("thinking_decision", "answer_decision"))
    return (*_who(row), "thinking", thought, "answer", answer)


def _missing(row: Row) -> Words:
    return (*_judge(row), "missing", "all reasons" if row["missing_reason"] == POOLED else row["missing_reason"])


# A paper quotes decisions on harmful prompts and over-refusal on benign ones, not on both together.
NOT_POOLED = {f"mean_{decision.word}_rate": None for decision in DECISIONS}
QUOTED = (
    Quoted("aggregate_by_model", _who, renamed=NOT_POOLED),
    Quoted("aggregate_by_temperature", _scope, renamed=NOT_POOLED),
    Quoted("aggregate_by_harm", lambda row: (*_who(row), "prompts", row["harm"])),
    Quoted("aggregate_by_configuration", lambda row: (*_scope(row), f"seed {row['seed']}")),
    Quoted("aggregate_by_judge", lambda row: (*_scope(row), "judge", row["judge"]), renamed=NOT_POOLED),
    Quoted("threshold_sensitivity", lambda row: (*_who(row), _at(row["threshold"], "below"))),
    Quoted("binary_scoring", lambda row: (*_who(row), row["scoring"]), lambda row: row["scoring"] != "three_way"),
    Quoted("temperature_tests", lambda row: (*_who(row), "temperature test")),
    Quoted("temperature_pairs", _warmed),
    Quoted("model_pairs", _between),
    Quoted("interventions", lambda row: (*_scope(row), "against", row["control"])),
    Quoted("sample_size_least_n", lambda row: (*_scope(row), "responses for", f"{100 * row['target']:g}")),
    Quoted("tail_risk", lambda row: (*_scope(row), "tail risk")),
    Quoted("tail_forecast", lambda row: (*_who(row), f"in {row['n_attempts']} attempts")),
    Quoted("decomposition", lambda row: (*_who(row), row["component"])),
    Quoted("t0_determinism", lambda row: (*_judge(row), "t 0")),
    Quoted("judge_noise", lambda row: (*_judge(row), "noise")),
    Quoted("intents", lambda row: (*_who(row), "phrasing")),
    Quoted("intent_components", lambda row: (*_who(row), "phrased", row["component"])),
    Quoted("judge_agreement", _judges),
    Quoted("judge_by_decision", _decision),
    Quoted("consensus_stability", lambda row: (*_who(row), "where", row["judges"].replace("+", " and "), "agree")),
    Quoted("categories", _category),
    Quoted("category_tests", lambda row: (*_category(row), "test")),
    Quoted("missing", _missing, renamed={"n_missing": ""}),
    Quoted("zero_events", lambda row: (*_who(row), "no", row["event"])),
    Quoted("outcomes", lambda row: (*_scope(row), "outcome")),
    Quoted("blocks", lambda row: (*_scope(row), "blocks", row["blocks"])),
    Quoted("thinking_decisions", _thinking),
    Quoted("adaptive", lambda row: (*_who(row), "rounds")),
    Quoted("adaptive_stops", lambda row: (*_who(row), "stopped", row["verdict"], row["stop_reason"])),
    Quoted("adaptive_audit", lambda row: (*_who(row), "audit", row["full_grid"])),
)


def study_numbers(inputs: ReportInputs) -> Iterator[tuple[Words, str]]:
    """Each number's name and value; an interval's bounds follow as `low` and `high`; unknown ones are left out."""
    yield from _design(inputs)
    for quoted in QUOTED:
        columns = [COLUMNS[name] for name in METRIC_TABLES[quoted.table][1].columns if name in COLUMNS]
        named = {column: quoted.renamed.get(column.name, column.macro) for column in columns}
        for row in inputs.rows(quoted.table):
            if quoted.only(row):
                for column, macro in named.items():
                    if macro is not None:
                        yield from _with_bounds((*quoted.about(row), *([macro] if macro else [])), row, column)


def _design(inputs: ReportInputs) -> Iterator[tuple[Words, str]]:
    """How large the study is."""
    params = inputs.params
    rows = inputs.rows("aggregate_by_model")
    axes = (params.models, params.interventions, params.sampling.temperatures, params.sampling.seeds)
    design: dict[str, Any] = {
        "prompts": len(inputs.prompts),
        "categories": len({c for row in inputs.rows("categories") if (c := row["category"]) != POOLED}),
        "models": len(params.models),
        "interventions": sum(name != NO_INTERVENTION for name in params.interventions),
        "temperatures": len(params.sampling.temperatures),
        "seeds": len(params.sampling.seeds),
        "configurations": math.prod(len(axis) for axis in axes),
        "judges": len(params.judging.judges),
        "responses": sum(int(row["n_responses"]) for row in rows),
        "missing": sum(int(row["n_missing"]) for row in rows),
        "threshold": f"{params.metrics.threshold:g}",
        "confidence": f"{100 * params.metrics.confidence:g}",
        "resamples": params.metrics.n_resamples,
    }
    for name, value in design.items():
        yield ("study", name), str(value)


def _with_bounds(words: Words, row: Row, column: Column) -> Iterator[tuple[Words, str]]:
    for suffix, bound in (("", ()), ("_low", ("low",)), ("_high", ("high",))):
        value = float(row.get(f"{column.name}{suffix}", math.nan))
        if math.isfinite(value):
            yield (*words, *bound), _written(value, column)


def _written(value: float, column: Column) -> str:
    """A number without its unit and without thousands separators, as LaTeX text takes it."""
    if column.unit == "p":
        return p_value(value)
    digits = column.digits or 0
    # What is added turns a rounded -0 into 0.
    return f"{round(column.factor * value, digits) + 0.0:.{digits}f}"
