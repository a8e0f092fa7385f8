"""Page one of the report: what was asked, the numbers that matter, what follows from them, and what they rest on."""

from __future__ import annotations

import math
from pathlib import Path

from refusal_stability.files import REFERENCE_MODELS
from refusal_stability.params.study import StudyParams
from refusal_stability.records import ANY_DECISION, NO_INTERVENTION
from refusal_stability.report.content import KeyFigure, Summary
from refusal_stability.report.phrases import several
from refusal_stability.report.report_inputs import SUMMARY_PICTURE, ReportInputs
from refusal_stability.report.warnings import CUT_SHARE, warnings_of
from refusal_stability.report.zero_events import counted_prompts
from refusal_stability.tables.number_format import Row, count, estimate

MOST_MODELS = 4  # more would not fit a page; the least stable ones are shown
FEW_PROMPTS = 50
MISSING_SHARE = 0.05


def page_one(inputs: ReportInputs) -> Summary:
    """The summary of a study; it says so where no response has a decision."""
    decided = [row for row in inputs.rows("aggregate_by_model") if row["n_prompts"]]
    shown = _least_stable(decided)
    return Summary(
        banner=tuple(_banner(inputs)),
        asked=_asked(inputs),
        figures=_key_figures(inputs, shown),
        consequence=_consequence(inputs, decided),
        pictures=tuple(picture for name, picture in inputs.pictures.items() if name == SUMMARY_PICTURE),
        caveats=tuple(_caveats(inputs, len(decided) - len(shown))),
    )


def _least_stable(rows: list[Row]) -> list[Row]:
    """The rows to show, in their own order."""
    chosen = sorted(range(len(rows)), key=lambda place: rows[place]["mean_ssi"])[:MOST_MODELS]
    return [rows[place] for place in sorted(chosen)]


def _asked(inputs: ReportInputs) -> str:
    """The design in a sentence or two."""
    params = inputs.params
    sampling, models = params.sampling, [inputs.labels.get((m, NO_INTERVENTION), m) for m in params.models]
    others = [name for name in params.interventions if name != NO_INTERVENTION]
    compared = f", with and without the intervention {several(others)}" if others else ""
    seeds, temperatures = len(sampling.seeds), several([f"{t:g}" for t in sampling.temperatures])
    answered = sum(int(row["n_responses"]) for row in inputs.rows("aggregate_by_model"))
    return (
        f"{several(models, most=4)} answered {count(len(inputs.prompts))} prompts again and again{compared}: "
        f"temperatures {temperatures}, {seeds} {'seed' if seeds == 1 else 'seeds'} each. Every answer was labelled "
        f"{ANY_DECISION}. This gave {count(answered)} decisions."
    )


def _key_figures(inputs: ReportInputs, rows: list[Row]) -> tuple[KeyFigure, ...]:
    """Three numbers, each with its interval or, for what never happened, with its bound."""
    threshold = inputs.params.metrics.threshold
    harmful = " to harmful prompts" if inputs.has_benign else ""

    def of_each(event: str) -> tuple[tuple[str, str], ...]:
        return tuple((inputs.label(row), counted_prompts(inputs, row, event)) for row in rows)

    if not rows:
        return ()
    return (
        KeyFigure("Prompts that got more than one decision", of_each("flipped")),
        KeyFigure(f"Unstable prompts (SSI below {threshold:g})", of_each("unstable")),
        KeyFigure(
            f"Answers{harmful} labelled COMPLY",
            tuple((inputs.label(row), estimate(row, "safety_comply_rate")) for row in rows),
        ),
    )


def _consequence(inputs: ReportInputs, rows: list[Row]) -> str:
    """What a test that asks each prompt once would have seen."""
    if not rows:
        return "No response has a decision, so there is nothing to report yet."
    if not any(row["pct_flipped"] for row in rows):
        return "No prompt changed its decision: for these prompts, temperatures and seeds, asking once was enough."
    row = min(rows, key=lambda one: one["mean_ssi"])
    agrees, low, high = (f"{100 * row[f'mean_ssi{end}']:.1f}" for end in ("", "_low", "_high"))
    least = f"For {inputs.label(row)}, the least stable of {len(rows)}, a" if len(rows) > 1 else "A"
    interval = f" [{low}, {high}]" if math.isfinite(row["mean_ssi_low"]) else ""
    return (
        f"{least} test that asks each prompt once sees the prompt's usual decision in {agrees}%{interval} of its "
        "answers, and another one in the rest: its result depends on the seed and the temperature."
    )


def _banner(inputs: ReportInputs) -> list[str]:
    """Synthetic models, few prompts, missing data and cut answers: short, and only where they are so."""
    said = []
    synthetic = [inputs.labels.get((m, NO_INTERVENTION), m) for m in _synthetic(inputs.params)]
    if synthetic:
        said.append(
            f"Synthetic models: {several(synthetic)}. They were trained for this project with known decision shares, "
            "so these numbers say nothing about real models."
        )
    if len(inputs.prompts) < FEW_PROMPTS:
        said.append(f"Few prompts: {count(len(inputs.prompts))}. Expect other prompts to give other numbers.")
    for row in inputs.rows("aggregate_by_model"):
        asked = row["n_responses"] + row["n_missing"]
        if asked and row["n_missing"] >= MISSING_SHARE * asked:
            share = f"{row['n_missing'] / asked:.0%}"
            said.append(f"Data missing: {share} of the responses of {inputs.label(row)} have no decision.")
    for row in inputs.rows("outcomes"):
        if math.isnan(row["temperature"]) and row["n_asked"] and row["n_cut"] >= CUT_SHARE * row["n_asked"]:
            share = f"{row['n_cut'] / row['n_asked']:.0%}"
            said.append(f"Answers cut: {share} of those of {inputs.label(row)} reached the token limit.")
    return said


def _synthetic(params: StudyParams) -> list[str]:
    """The models that the project trained itself, with planted decisions."""
    trained = {REFERENCE_MODELS / name for name in params.reference_models}
    return [name for name, model in params.models.items() if Path(model.path) in trained]


def _caveats(inputs: ReportInputs, left_out: int) -> list[str]:
    """What the numbers rest on, in sentences that hold for every study, and how many warnings follow."""
    judges = sorted({inputs.params.judging.of(model).primary for model in inputs.params.models})
    level = f"{inputs.params.metrics.confidence:.0%} {inputs.kind_of_interval}"
    said = [
        f"Decisions are the labels of {several(judges)}. A judge's errors look like instability, or hide it.",
        f"Brackets are {level} over prompts. They hold for prompts like these, and no others.",
        "Figures are estimates of the full grid: prompts were sampled in rounds, in unequal numbers."
        if inputs.params.sampling.adaptive
        else "More answers per prompt find more changes, so compare studies with equal numbers only.",
    ]
    if left_out:
        said.append(f"{left_out} more models, all more stable, are under Models compared.")
    warned = len(warnings_of(inputs))
    if warned:
        said.append(f"{warned} {'warning follows' if warned == 1 else 'warnings follow'} under Warnings.")
    return said
