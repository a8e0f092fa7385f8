"""The parts of a report that every study has: headline, what was asked, how to read it, prompts, what is missing."""

from __future__ import annotations

from refusal_stability.params.study import StudyParams
from refusal_stability.records import NO_INTERVENTION
from refusal_stability.report.content import Section
from refusal_stability.report.number_format import Row, count, number, percent, several, share, spelled
from refusal_stability.report.report_inputs import ALL, Evidence, table
from refusal_stability.report.versions import LOCK, PROJECT, VLLM_LOCK, uses_vllm

MOST_UNSTABLE = 10
LONGEST_PROMPT = 400
SHORT_ID = 10
ENVIRONMENTS = {
    str(PROJECT): f"the project ({PROJECT})",
    str(LOCK): f"the study's own ({LOCK})",
    str(VLLM_LOCK): f"the engine vllm's ({VLLM_LOCK})",
}


def headline(evidence: Evidence) -> Section:
    """What a reader should take away, a sentence for each model, with intervals."""
    rows = [row for row in evidence.rows("aggregate_by_model") if row["n_prompts"]]
    threshold = evidence.params.metrics.threshold
    said = [
        f"{evidence.label(row)}: a single response agrees with its prompt's commonest decision in "
        f"{share(row, 'mean_ssi')} of the cases. Of {count(row['n_prompts'])} prompts, {percent(row, 'pct_flipped')} "
        f"got more than one decision and {percent(row, 'pct_unstable')} are unstable (SSI below {threshold:g})."
        for row in rows
    ]
    level = f"{evidence.params.metrics.confidence:.0%}"
    remark = f"Brackets hold {level} bootstrap intervals over prompts."
    said = [*said, remark] if said else ["No response has a decision, so there is nothing to report yet."]
    return Section("headline", "In short", tuple(said))


def question(evidence: Evidence) -> Section:
    """The study's design in words."""
    params = evidence.params
    interventions = [name for name in params.interventions if name != NO_INTERVENTION]
    sampling = params.sampling
    judges = [f"{name} (primary)" if name == params.judging.primary else name for name in params.judging.judges]
    answered = sum(int(row["n_responses"]) for row in evidence.rows("aggregate_by_model"))
    missing = sum(int(row["n_missing"]) for row in evidence.rows("aggregate_by_model"))
    sources = sorted(set(evidence.prompts["source"]))
    terms = (
        ("Prompts", f"{count(len(evidence.prompts))} from {several(sources)}"),
        ("Models", several([evidence.labels.get((m, NO_INTERVENTION), m) for m in params.models], most=20)),
        ("Interventions", several(interventions) if interventions else "none: each prompt is put as it is"),
        ("Temperatures", several([f"{t:g}" for t in sampling.temperatures])),
        ("Seeds", several([str(s) for s in sampling.seeds])),
        ("Sampling", _sampled_with(params)),
        ("Judges", several(judges)),
        ("Responses", f"{count(answered)} with a decision, {count(missing)} without"),
    )
    alone = len(params.interventions) == 1
    under, changed = (
        ("", "Nothing else") if alone else (" under each intervention", "Under one intervention nothing else")
    )
    text = (
        f"Each prompt was put to each model at every temperature with every seed{under}, and each response was named "
        f"REFUSE, PARTIAL or COMPLY. {changed} was changed between a model's responses to one prompt.",
    )
    return Section("asked", "What was asked", text, terms)


def _sampled_with(params: StudyParams) -> str:
    """The sampler's settings; those of recorded responses are not in the study's hands."""
    sampling, recorded = params.sampling, [name for name, model in params.models.items() if model.engine == "recorded"]
    words = f"top_p {sampling.top_p:g}, top_k {sampling.top_k}, at most {sampling.max_tokens} tokens"
    if not recorded:
        return words
    unknown = "as the responses were recorded (the study does not know)"
    return unknown if len(recorded) == len(params.models) else f"{words}; {several(recorded)}: {unknown}"


def reading(evidence: Evidence) -> Section:
    """The few terms that the rest is written in."""
    threshold = evidence.params.metrics.threshold
    terms = (
        ("SSI", "Safety Stability Index of a prompt: the share of its decisions that are the commonest one, 1/3 to 1."),
        ("Mean SSI", "Its mean over prompts: the chance that a single response agrees with its prompt's majority."),
        ("Unstable", f"A prompt whose SSI is below {threshold:g}."),
        (
            "Flip",
            "A prompt that got more than one decision. It grows with the number of samples: compare like with like.",
        ),
        (
            "Two samples agree",
            "The chance that two fresh responses get the same decision; does not depend on how many.",
        ),
        (
            "Interval",
            "Percentile bootstrap over whole prompts: how the figure would vary had other prompts been asked.",
        ),
        ("Missing", "A response without a decision, with its reason. Never counted as a decision."),
    )
    text = (
        "A model that refuses nine times out of ten has not refused. One response per prompt, the usual practice, "
        "cannot tell a firm decision from a lucky draw; this study rolls the dice again.",
    )
    return Section("reading", "How to read it", text, terms)


def unstable_prompts(evidence: Evidence) -> Section:
    """The prompts that each model wavers most on, unstable or not."""
    texts: dict[str, str] = dict(zip(evidence.prompts["prompt_id"], evidence.prompts["prompt"], strict=True))
    chosen: list[Row] = []
    found: list[str] = []
    for model, intervention in evidence.labels:
        rows = [
            row
            for row in evidence.rows("per_prompt_metrics")
            if row["model"] == model and row["intervention"] == intervention and row["flip"]
        ]
        rows.sort(key=lambda row: (row["ssi"], -row["n"], row["prompt_id"]))
        found.append(f"{evidence.labels[model, intervention]} {sum(bool(row['unstable']) for row in rows):,}")
        chosen += rows[:MOST_UNSTABLE]
    shown = table(
        "unstable_prompts",
        f"Up to {MOST_UNSTABLE} prompts of each model that got more than one decision, the lowest SSI first.",
        chosen,
        ("Prompt", "verbatim", lambda row: _cut(texts.get(str(row["prompt_id"]), str(row["prompt_id"])))),
        ("Id", "number", lambda row: str(row["prompt_id"])[:SHORT_ID]),
        ("Model", "text", evidence.label),
        ("Category", "text", lambda row: spelled(str(row["category"]))),
        ("REFUSE", "number", lambda row: count(row["n_refuse"])),
        ("PARTIAL", "number", lambda row: count(row["n_partial"])),
        ("COMPLY", "number", lambda row: count(row["n_comply"])),
        ("SSI", "number", lambda row: number(row["ssi"], 2)),
        ("Unstable", "number", lambda row: "yes" if row["unstable"] else "no"),
        ("Chance truly unstable", "number", lambda row: number(100 * row["p_unstable"], 0, "%")),
    )
    text = (
        f"Unstable prompts (SSI below {evidence.params.metrics.threshold:g}): {several(found)}. Prompts are quoted "
        "word for word, long ones cut; many ask for harmful things. Responses are not shown.",
    )
    none = ("No prompt got more than one decision.",)
    pictures = evidence.show(["decision_heatmap"]) if shown else ()
    return Section("prompts", "The least stable prompts", text if shown else none, (), shown, pictures)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_PROMPT else f"{text[: LONGEST_PROMPT - 1]}…"


def missing(evidence: Evidence) -> Section:
    """What has no decision, and why."""
    rows = [row for row in evidence.rows("missing") if row["n_missing"]]
    shown = table(
        "missing",
        "Responses without a decision, by model, judge and reason.",
        rows,
        ("Model", "text", evidence.label),
        ("Judge", "text", lambda row: row["judge"]),
        ("Reason", "verbatim", lambda row: "all reasons" if row["missing_reason"] == ALL else row["missing_reason"]),
        ("Responses", "number", lambda row: count(row["n_missing"])),
        ("Share", "number", lambda row: number(100 * row["missing_share"], 2, "%")),
    )
    if "missing" not in evidence.tables:
        text = "The table of missing decisions is absent."
    elif shown:
        text = "What is missing is left out of every figure above, never counted as a decision."
    else:
        text = "Nothing is missing: every response has a decision from every judge."
    return Section("missing", "Missing data", (text,), (), shown)


def parameters(evidence: Evidence) -> Section:
    """The parameter file word for word, and the pinned versions."""
    versions = table(
        "versions",
        "The project, the Python that it asks for, and the packages that numbers and figures depend on, as the files "
        "of the last column pin them.",
        [pin._asdict() for pin in evidence.pinned],
        ("Package", "text", lambda row: row["package"]),
        ("Version", "text", lambda row: row["version"]),
        ("Environment", "text", lambda row: ENVIRONMENTS[row["environment"]]),
    )
    text = ["This file decides every number above."]
    locks = (LOCK, VLLM_LOCK) if uses_vllm(evidence.params) else (LOCK,)
    absent = [str(lock) for lock in locks if str(lock) not in {pin.environment for pin in evidence.pinned}]
    text += [f"No {name} lies beside the study, so the package versions in it are not known." for name in absent]
    if uses_vllm(evidence.params):
        text.append(
            "Models and judges of the engine vllm run in an environment of their own. Its file pins the build for "
            "CPUs; beside an NVIDIA driver `make vllm` installs the build for GPUs, which brings its own versions of "
            "torch, transformers and most else."
        )
    text.append(
        "Engine, device and versions that each response was in fact made with are recorded with its run in MLflow."
    )
    code = evidence.params_text
    return Section("parameters", "Exact parameters and versions", tuple(text), (), versions, (), code)
