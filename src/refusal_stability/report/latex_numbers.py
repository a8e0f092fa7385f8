"""Every number of a study by a name made of words, for a paper to quote: the metric tables and the study's design.

Left out are the tables that hold a row for each prompt, the curves, and the counts of judges' confusions, which a
paper shows but does not quote.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from refusal_stability.records import NO_INTERVENTION
from refusal_stability.report.number_format import Row, p_value
from refusal_stability.report.report_inputs import ALL, Evidence

Words = tuple[str, ...]
Form = Callable[[float], str]
Figures = dict[str, tuple[str, Form]]  # a number's name -> its column and how it is written


def _rounded(digits: int, factor: float = 1.0) -> Form:
    # What is added turns a rounded -0 into 0.
    return lambda value: f"{round(factor * value, digits) + 0.0:.{digits}f}"


COUNT, PERCENT, INDEX, P_VALUE = _rounded(0), _rounded(1), _rounded(3), p_value
SHARE = _rounded(1, 100)  # from 0 to 1 in the table, in per cent in the paper
SMALL_SHARE = _rounded(2, 100)
QUERIES = _rounded(1)

STABILITY: Figures = {
    "prompts": ("n_prompts", COUNT),
    "responses": ("n_responses", COUNT),
    "missing": ("n_missing", COUNT),
    "mean ssi": ("mean_ssi", INDEX),
    "agreement": ("mean_ssi_pairwise", INDEX),
    "unstable": ("pct_unstable", PERCENT),
    "flipped": ("pct_flipped", PERCENT),
    "refuse": ("mean_refuse_rate", SHARE),
    "partial": ("mean_partial_rate", SHARE),
    "comply": ("mean_comply_rate", SHARE),
}
AGGREGATE: Figures = {
    **STABILITY,
    "correlation": ("spearman_ssi_comply_rate", INDEX),
    "expected unstable": ("pct_expected_unstable", PERCENT),
    "tied": ("pct_majority_tied", PERCENT),
    "stable refusal": ("n_steady_refusal", COUNT),
    "stable compliance": ("n_steady_help", COUNT),
    "wavering": ("n_wavering", COUNT),
}
RUN: Figures = {
    "responses": ("n_responses", COUNT),
    "missing": ("n_missing", COUNT),
    "refuse": ("refuse_rate", SHARE),
    "partial": ("partial_rate", SHARE),
    "comply": ("comply_rate", SHARE),
    "agreement": ("agreement", SHARE),
    "against majority": ("n_against_majority", COUNT),
    "flips caused": ("n_flips_caused", COUNT),
}
PAIR: Figures = {
    "pairs": ("n_pairs", COUNT),
    "different": ("n_different", COUNT),
    "difference": ("mean_difference", INDEX),
    "p": ("p_value", P_VALUE),
    "p holm": ("p_holm", P_VALUE),
}
TEST: Figures = {"statistic": ("statistic", _rounded(2)), "p": ("p_value", P_VALUE)}


@dataclass(frozen=True)
class Quoted:
    """A table's numbers: `about` names a row, `figures` its numbers."""

    table: str
    about: Callable[[Row], Words]
    figures: Figures
    only: Callable[[Row], bool] = field(default=lambda _: True)


def _who(row: Row, side: str = "") -> Words:
    model, intervention = row[f"model{side}"], row[f"intervention{side}"]
    if model == ALL:
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
    return (*_who(row), "category", "all" if row["category"] == ALL else row["category"])


def _judges(row: Row) -> Words:
    pair = ("panel",) if row["judge_a"] == ALL else (row["judge_a"], "and", row["judge_b"])
    return ("judges", *pair, *_who(row))


def _decision(row: Row) -> Words:
    return (*_judges(row), "mean" if row["decision"] == ALL else row["decision"].lower())


def _judge(row: Row) -> Words:
    return (*_who(row), "judge", row["judge"])


def _missing(row: Row) -> Words:
    return (*_judge(row), "missing", "all reasons" if row["missing_reason"] == ALL else row["missing_reason"])


QUOTED = (
    Quoted("aggregate_by_model", _who, AGGREGATE),
    Quoted("aggregate_by_temperature", _scope, AGGREGATE),
    Quoted("aggregate_by_configuration", lambda row: (*_scope(row), f"seed {row['seed']}"), RUN),
    Quoted("aggregate_by_judge", lambda row: (*_scope(row), "judge", row["judge"]), STABILITY),
    Quoted(
        "threshold_sensitivity",
        lambda row: (*_who(row), _at(row["threshold"], "below")),
        {
            "unstable": ("pct_unstable", PERCENT),
            "unstable prompts": ("n_unstable", COUNT),
        },
    ),
    Quoted(
        "binary_scoring", lambda row: (*_who(row), row["scoring"]), STABILITY, lambda row: row["scoring"] != "three_way"
    ),
    Quoted(
        "temperature_tests",
        lambda row: (*_who(row), "temperature test"),
        TEST
        | {
            "prompts": ("n_blocks", COUNT),
            "kendalls w": ("kendalls_w", INDEX),
        },
    ),
    Quoted("temperature_pairs", _warmed, PAIR),
    Quoted(
        "model_pairs",
        _between,
        PAIR
        | {
            "flipped difference": ("pct_flipped_difference", PERCENT),
            "refuse difference": ("mean_refuse_rate_difference", SHARE),
        },
    ),
    Quoted(
        "sample_size_least_n",
        lambda row: (*_scope(row), "responses for", f"{100 * row['target']:g}"),
        {
            "": ("least_n", COUNT),
            "sure": ("least_n_sure", COUNT),
        },
    ),
    Quoted(
        "tail_risk",
        lambda row: (*_scope(row), "tail risk"),
        {
            "ever comply": ("pct_ever_comply", PERCENT),
            "ever comply prompts": ("n_ever_comply", COUNT),
            "mean queries": ("mean_queries", QUERIES),
            "median queries": ("median_queries", QUERIES),
            "mean queries exact": ("mean_queries_exact", QUERIES),
            "within five": ("pct_within_5", PERCENT),
        },
    ),
    Quoted(
        "decomposition",
        lambda row: (*_who(row), row["component"]),
        {
            "share": ("share", SHARE),
            "variance": ("variance", _rounded(4)),
        },
    ),
    Quoted(
        "t0_determinism",
        lambda row: (*_judge(row), "t 0"),
        {
            "prompts": ("n_all_present", COUNT),
            "identical": ("pct_identical", PERCENT),
            "identical flipped": ("pct_identical_flipped", PERCENT),
        },
    ),
    Quoted(
        "judge_noise",
        lambda row: (*_judge(row), "noise"),
        {
            "exchanges": ("n_exchanges", COUNT),
            "flipped": ("pct_exchanges_flipped", PERCENT),
            "disagreement": ("pairwise_disagreement", SMALL_SHARE),
        },
    ),
    Quoted(
        "judge_agreement",
        _judges,
        {
            "responses": ("n_both", COUNT),
            "agreement": ("raw_agreement", SHARE),
            "kappa": ("cohens_kappa", INDEX),
            "alpha": ("krippendorff_alpha", INDEX),
        },
    ),
    Quoted(
        "judge_by_decision",
        _decision,
        {
            "support": ("support", COUNT),
            "precision": ("precision", INDEX),
            "recall": ("recall", INDEX),
            "f1": ("f1", INDEX),
        },
    ),
    Quoted(
        "consensus_stability",
        lambda row: (*_who(row), "where", row["judges"].replace("+", " and "), "agree"),
        STABILITY
        | {
            "share": ("pct_agreed", PERCENT),
        },
    ),
    Quoted("categories", _category, STABILITY),
    Quoted(
        "category_tests",
        lambda row: (*_category(row), "test"),
        TEST
        | {
            "difference": ("mean_difference", INDEX),
            "p holm": ("p_holm", P_VALUE),
        },
    ),
    Quoted("missing", _missing, {"": ("n_missing", COUNT), "share": ("missing_share", SMALL_SHARE)}),
)


def quoted_numbers(evidence: Evidence) -> Iterator[tuple[Words, str]]:
    """Each number's name and value; an interval's bounds follow as `low` and `high`; unknown ones are left out."""
    yield from _design(evidence)
    for quoted in QUOTED:
        for row in evidence.rows(quoted.table):
            if quoted.only(row):
                for figure, (column, form) in quoted.figures.items():
                    yield from _with_bounds((*quoted.about(row), *([figure] if figure else [])), row, column, form)


def _design(evidence: Evidence) -> Iterator[tuple[Words, str]]:
    """How large the study is."""
    params = evidence.params
    rows = evidence.rows("aggregate_by_model")
    axes = (params.models, params.interventions, params.sampling.temperatures, params.sampling.seeds)
    design: dict[str, Any] = {
        "prompts": len(evidence.prompts),
        "categories": len({c for row in evidence.rows("categories") if (c := row["category"]) != ALL}),
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


def _with_bounds(words: Words, row: Row, column: str, form: Form) -> Iterator[tuple[Words, str]]:
    for suffix, bound in (("", ()), ("_low", ("low",)), ("_high", ("high",))):
        value = float(row.get(f"{column}{suffix}", math.nan))
        if math.isfinite(value):
            yield (*words, *bound), form(value)
