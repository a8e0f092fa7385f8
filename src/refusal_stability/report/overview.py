"""The parts of a report that every study has: headline, what was asked, how to read it, prompts, what is missing."""

from __future__ import annotations

import math
from dataclasses import replace

from refusal_stability.params.study import StudyParams
from refusal_stability.records import ANY_DECISION, DECISIONS, NO_INTERVENTION
from refusal_stability.report.content import Section
from refusal_stability.report.phrases import several, spelled
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.report.seeding import unseeded_rows
from refusal_stability.report.versions import environment_notes, lock_files
from refusal_stability.report.zero_events import counted_prompts
from refusal_stability.tables.columns import COLUMNS, POOLED
from refusal_stability.tables.layout import described, each, filled, laid_out, words
from refusal_stability.tables.number_format import Row, count, estimate

MOST_UNSTABLE = 10
SHORT_ID = 10
SSI_IN_PERCENT = replace(COLUMNS["mean_ssi"], digits=1, unit="%", factor=100.0)


def headline(inputs: ReportInputs) -> Section:
    """What a reader should take away, a sentence for each model, with intervals."""
    rows = [row for row in inputs.rows("aggregate_by_model") if row["n_prompts"]]
    threshold = inputs.params.metrics.threshold
    said = [
        f"{inputs.label(row)}: a single response agrees with its prompt's commonest decision in "
        f"{estimate(row, SSI_IN_PERCENT)} of the cases. Prompts with more than one decision: "
        f"{counted_prompts(inputs, row, 'flipped')}. Unstable prompts (SSI below {threshold:g}): "
        f"{counted_prompts(inputs, row, 'unstable')}.{_safety(row)}"
        for row in rows
    ]
    level = f"{inputs.params.metrics.confidence:.0%}"
    remark = f"Brackets are {level} {inputs.kind_of_interval} over prompts."
    if inputs.params.sampling.adaptive:
        remark = f"Sampled in rounds: estimates of the full grid. {remark}"
    said = [*said, remark] if said else ["No response has a decision, so there is nothing to report yet."]
    return Section("headline", "Each model in short", tuple(said))


def _safety(row: Row) -> str:
    """Compliance and over-refusal, each over its own prompts; empty where no prompt is benign."""
    if not row["n_benign"]:
        return ""
    harmful = count(row["n_prompts"] - row["n_benign"])
    return (
        f" Share of COMPLY on the {harmful} prompts not marked benign: {estimate(row, 'safety_comply_rate')}. "
        f"Share of REFUSE on the {count(row['n_benign'])} benign ones (over-refusal): {estimate(row, 'over_refusal')}."
    )


def question(inputs: ReportInputs) -> Section:
    """The study's design in words."""
    params = inputs.params
    interventions = [name for name in params.interventions if name != NO_INTERVENTION]
    sampling = params.sampling
    judges = [f"{name}{_primary_of(params, name)}" for name in params.judging.judges]
    answered = sum(int(row["n_responses"]) for row in inputs.rows("aggregate_by_model"))
    missing = sum(int(row["n_missing"]) for row in inputs.rows("aggregate_by_model"))
    sources = sorted(set(inputs.prompts["source"]))
    unseeded = [f"{inputs.label(row)}: unseeded, the server takes none" for row in unseeded_rows(inputs)]
    terms = (
        ("Prompts", f"{count(len(inputs.prompts))} from {several(sources)}{_conversations(inputs)}"),
        ("Models", several([inputs.labels.get((m, NO_INTERVENTION), m) for m in params.models], most=20)),
        ("Interventions", several(interventions) if interventions else "none: each prompt is sent as it is"),
        ("Temperatures", several([f"{t:g}" for t in sampling.temperatures])),
        ("Seeds", "; ".join([several([str(s) for s in sampling.seeds]), *unseeded])),
        ("Sampling", _sampled_with(params)),
        ("Judges", several(judges)),
        ("Responses", f"{count(answered)} with a decision, {count(missing)} without"),
    )
    alone = len(params.interventions) == 1
    under, changed = (
        ("", "Nothing else") if alone else (" under each intervention", "Within one intervention, nothing else")
    )
    sent = "at every temperature with every seed"
    if params.sampling.adaptive:
        sent = f"until a rule had decided it, at most {sent}"
    text = (
        f"Each prompt was sent to each model {sent}{under}. Each response was labelled "
        f"{ANY_DECISION}. {changed} differs between a model's responses to one prompt.",
    )
    return Section("asked", "What was asked", text, terms)


def _primary_of(params: StudyParams, judge: str) -> str:
    """Of which models a judge is the primary one, in brackets; empty where of none."""
    models = [model for model in params.models if params.judging.of(model).primary == judge]
    if len(models) == len(params.models):
        return " (primary)"
    return f" (primary for {several(models, most=20)})" if models else ""


def _conversations(inputs: ReportInputs) -> str:
    """How many prompts are conversations of several turns; empty where none is."""
    number = int((inputs.prompts["turns"] != "").sum())
    return f"; {count(number)} of them with earlier turns" if number else ""


def _sampled_with(params: StudyParams) -> str:
    """The sampler's settings; those of recorded responses are not in the study's hands."""
    sampling = params.sampling
    recorded = [name for name, model in params.models.items() if not model.settings_class.samples]
    words = f"top_p {sampling.top_p:g}, top_k {sampling.top_k}, at most {sampling.max_tokens} tokens"
    if not recorded:
        return words
    unknown = "unknown: the responses were recorded elsewhere"
    return unknown if len(recorded) == len(params.models) else f"{words}; {several(recorded)}: {unknown}"


def reading(inputs: ReportInputs) -> Section:
    """The few terms that the rest is written in."""
    threshold = inputs.params.metrics.threshold
    terms = (
        (
            "SSI",
            f"Safety Stability Index of a prompt: the share of its commonest decision, from 1/{len(DECISIONS)} to 1.",
        ),
        ("Mean SSI", "Its mean over prompts: the chance that a single response agrees with its prompt's majority."),
        ("Unstable", f"A prompt whose SSI is below {threshold:g}."),
        ("Flip", "A prompt with more than one decision. Flips grow with the number of samples: compare equal numbers."),
        (
            "Two samples agree",
            "The chance that two fresh responses get the same decision. It does not depend on the number of samples.",
        ),
        ("Interval", f"{_interval_kind(inputs)}: how the figure would vary with other prompts."),
        ("Missing", "A response without a decision, with its reason. It never counts as a decision."),
    )
    text = (
        "A model that refuses nine times out of ten has not refused. One response per prompt, the usual practice, "
        "cannot tell a firm decision from a lucky draw. This study draws many.",
    )
    return Section("reading", "How to read it", text, terms)


def _interval_kind(inputs: ReportInputs) -> str:
    if inputs.params.sampling.adaptive:
        return "Beta interval over prompts, with the error of the estimate (docs/adaptive.md)"
    return "Percentile bootstrap over whole prompts"


def unstable_prompts(inputs: ReportInputs) -> Section:
    """The least stable prompts of each model, unstable or not."""
    chosen: list[Row] = []
    found: list[str] = []
    for model, intervention in inputs.labels:
        rows = [
            row
            for row in inputs.rows("per_prompt_metrics")
            if row["model"] == model and row["intervention"] == intervention and row["flip"]
        ]
        rows.sort(key=lambda row: (row["ssi"], -row["n"], row["prompt_id"]))
        found.append(f"{inputs.labels[model, intervention]} {sum(bool(row['unstable']) for row in rows):,}")
        chosen += rows[:MOST_UNSTABLE]
    shown = filled(
        laid_out(
            "unstable_prompts",
            f"Up to {MOST_UNSTABLE} prompts of each model with more than one decision, lowest SSI first.",
            chosen,
            inputs.quoted_prompt,
            words("Id", lambda row: str(row["prompt_id"])[:SHORT_ID], "number"),
            inputs.who,
            words("Category", lambda row: spelled(str(row["category"]))),
            *each(f"{' '.join(f'n_{d.word}' for d in DECISIONS)} ssi unstable p_unstable"),
        )
    )
    shortened = "Of a conversation only the last turn is quoted, after an ellipsis. " if _conversations(inputs) else ""
    text = (
        f"Unstable prompts (SSI below {inputs.params.metrics.threshold:g}): {several(found)}.",
        f"Prompts are quoted word for word, long ones cut. {shortened}Many ask for harmful things. Responses are not "
        "shown.",
    )
    none = ("No prompt got more than one decision.",)
    pictures = inputs.show("prompts") if shown else ()
    return Section("prompts", "The least stable prompts", text if shown else none, (), shown, pictures)


def outcomes(inputs: ReportInputs) -> Section:
    """What became of the responses, and what the provider's blocks do to the figures."""
    rows = inputs.rows("outcomes")
    if not rows:
        unknown = "The study has labels only, so what became of its responses is not known."
        return Section("outcomes", "Outcomes of the responses", (unknown,))
    scope = words("Temperature", _temperature)
    tables = filled(
        laid_out(
            "outcomes",
            "Responses by outcome, model and temperature.",
            rows,
            inputs.who,
            scope,
            *each("n_asked n_answered n_cut n_blocked n_refused n_unanswered"),
        ),
        laid_out(
            "blocks",
            "Stability with the provider's blocks counted as refusals, and with blocks left out.",
            inputs.rows("blocks"),
            inputs.who,
            scope,
            *each("blocks n_prompts n_missing mean_ssi pct_unstable pct_flipped mean_refuse_rate mean_comply_rate"),
        ),
    )
    text = (
        "A cut response reached the token limit. A blocked one was withheld by the provider's filter.",
        "A structured refusal is sent apart from the text. An unanswered response has no text for another reason.",
    )
    return Section("outcomes", "Outcomes of the responses", text, (), tables)


def thinking(inputs: ReportInputs) -> Section | None:
    """What the thinking was labelled, against the final answers; None where no thinking was judged."""
    shown = filled(
        laid_out(
            "thinking",
            "Decisions on the thinking, and on the final answers that followed.",
            inputs.rows("thinking_decisions"),
            inputs.who,
            words("Thinking says", lambda row: row["thinking_decision"] or "missing"),
            words("Answer says", lambda row: row["answer_decision"] or "missing"),
            *each("n_thinking thinking_share"),
        )
    )
    text = (
        f"The judge {inputs.params.judging.thinking} also labelled the thinking of each response that has one.",
        "Thinking can comply where the final answer refuses. These labels enter no other figure.",
    )
    return Section("thinking", "Thinking judged on its own", text, (), shown) if shown else None


def _temperature(row: Row) -> str:
    return "all" if math.isnan(row["temperature"]) else f"{row['temperature']:g}"


def missing(inputs: ReportInputs) -> Section:
    """What has no decision, and why."""
    rows = [row for row in inputs.rows("missing") if row["n_missing"]]
    shown = filled(
        laid_out(
            "missing",
            "Responses without a decision, by model, judge and reason.",
            rows,
            inputs.who,
            described("judge"),
            words("Reason", _reason, "verbatim"),
            described("n_missing", "Responses"),
            described("missing_share"),
        ),
        laid_out(
            "missing_by_temperature",
            "The same by temperature. A broken model or server shows in a share that grows with the temperature.",
            inputs.rows("missing_by_temperature"),
            inputs.who,
            described("judge"),
            words("Reason", _reason, "verbatim"),
            described("temperature"),
            described("n_missing", "Responses"),
            described("missing_share"),
        ),
    )
    if "missing" not in inputs.tables:
        text = "The table of missing decisions is absent."
    elif shown:
        text = "Missing responses are left out of every figure above. They never count as a decision."
    else:
        text = "Nothing is missing: every response has a decision from every judge."
    return Section("missing", "Missing data", (text,), (), shown)


def _reason(row: Row) -> str:
    return "all reasons" if row["missing_reason"] == POOLED else str(row["missing_reason"])


def parameters(inputs: ReportInputs) -> Section:
    """The parameter file word for word, and the versions that the study ran with."""
    versions = filled(
        laid_out(
            "versions",
            "Versions that the study ran with.",
            [ran._asdict() for ran in inputs.ran],
            words("Package", "name"),
            words("Version", "version"),
            words("Used for", "used_for"),
        )
    )
    text = ["This file determines every number above."]
    known = {ran.used_for.partition(" on ")[0] for ran in inputs.ran}
    unknown = [name for name in inputs.params.models if name not in known]
    if unknown:
        text.append(f"What generated these models' responses is not recorded here: {several(unknown, most=20)}.")
    text.append(f"To install the same versions, use {' and '.join(lock_files(inputs.params))}.")
    text += environment_notes(inputs.params)
    code = inputs.params_text
    return Section("parameters", "Exact parameters and versions", tuple(text), (), versions, (), code)
