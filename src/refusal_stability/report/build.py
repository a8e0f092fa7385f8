"""The report put together, and the numbers that a paper quotes from it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from refusal_stability.records import NO_INTERVENTION
from refusal_stability.report import findings, overview
from refusal_stability.report.content import Report
from refusal_stability.report.evidence import Evidence
from refusal_stability.report.wording import Row

SECTIONS = (
    overview.headline,
    overview.question,
    overview.reading,
    findings.models,
    findings.temperature,
    findings.categories,
    findings.samples,
    findings.sources,
    findings.judges,
    overview.unstable_prompts,
    overview.missing,
    overview.parameters,
)
# quantity -> (column, decimals, factor)
QUOTED = {
    "mean ssi": ("mean_ssi", 3, 1),
    "agreement": ("mean_ssi_pairwise", 3, 1),
    "unstable": ("pct_unstable", 1, 1),
    "flipped": ("pct_flipped", 1, 1),
    "refuse": ("mean_refuse_rate", 1, 100),
    "partial": ("mean_partial_rate", 1, 100),
    "comply": ("mean_comply_rate", 1, 100),
}


def build_report(evidence: Evidence) -> Report:
    """Every section, in reading order."""
    return Report(
        title=f"{evidence.params.study}: stability of safety decisions",
        question="Would these models have decided the same if the dice had been rolled again?",
        sections=tuple(section(evidence) for section in SECTIONS),
    )


def quoted_numbers(evidence: Evidence) -> Iterator[tuple[tuple[str, ...], str]]:
    """The numbers of a study by name: (model, intervention, temperature, quantity, bound) -> value."""
    yield ("prompts",), str(len(evidence.prompts))
    for name in ("aggregate_by_model", "aggregate_by_temperature"):
        for row in evidence.rows(name):
            who = _who(row)
            if "temperature" in row:
                who.append(f"t {row['temperature']:g}".replace(".", " point "))
            yield from _numbers_of(row, who)
    for row in evidence.rows("decomposition"):
        who = _who(row)
        yield from _quoted((*who, str(row["component"]), "share"), row, "share", 1, 100)
    for row in evidence.rows("sample_size_least_n"):
        if math.isnan(row["temperature"]) and math.isfinite(row["least_n"]):
            yield (*_who(row), "responses for", f"{100 * row['target']:g}"), str(int(row["least_n"]))


def _who(row: Row) -> list[str]:
    return [row["model"]] + ([] if row["intervention"] == NO_INTERVENTION else [row["intervention"]])


def _numbers_of(row: Row, who: list[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    yield (*who, "responses"), str(row["n_responses"])
    for quantity, (column, digits, factor) in QUOTED.items():
        yield from _quoted((*who, quantity), row, column, digits, factor)


def _quoted(
    words: tuple[str, ...], row: Row, column: str, digits: int, factor: float
) -> Iterator[tuple[tuple[str, ...], str]]:
    """A figure and the bounds of its interval, those that are known."""
    for suffix, bound in (("", ()), ("_low", ("low",)), ("_high", ("high",))):
        value = factor * row[f"{column}{suffix}"]
        if math.isfinite(value):
            yield (*words, *bound), f"{value:.{digits}f}"
