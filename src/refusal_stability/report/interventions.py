"""Does an intervention stabilise? What each one changes against the control, and which prompts it moves."""

from __future__ import annotations

import math

from refusal_stability.report.content import Section
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.report.unequal import differ
from refusal_stability.tables.layout import described, each, filled, laid_out
from refusal_stability.tables.number_format import Row, count, estimate, p_value

MOST_MOVED = 10
OTHER_CHANGES = {
    "pct_flipped_difference": "flipped prompts",
    "safety_refuse_rate_difference": "refusals of prompts that are not benign",
    "safety_comply_rate_difference": "compliance with prompts that are not benign",
    "over_refusal_difference": "refusals of benign prompts",
}
CHANGES = each(
    "mean_difference pct_flipped_difference safety_refuse_rate_difference safety_comply_rate_difference "
    "over_refusal_difference"
)
CORRECTED = each(
    "mean_difference_p_holm pct_flipped_difference_p_holm safety_refuse_rate_difference_p_holm "
    "safety_comply_rate_difference_p_holm over_refusal_difference_p_holm"
)
MOVES = each(
    "n_became_stable n_became_stable_refuse n_became_stable_comply n_became_unstable n_became_unstable_refuse "
    "n_became_unstable_comply"
)


def effects(inputs: ReportInputs) -> list[str]:
    """A sentence for each model and intervention: whether an effect on stability is supported."""
    return [_effect(inputs, row) for row in _pooled(inputs)]


def _pooled(inputs: ReportInputs) -> list[Row]:
    return [row for row in inputs.rows("interventions") if math.isnan(row["temperature"])]


def _effect(inputs: ReportInputs, row: Row) -> str:
    who = f"{inputs.label(row)}, against {row['control']}"
    if not row["n_pairs"]:
        return f"{who}: not comparable. No prompt has a decision on both sides."
    p, level = row["mean_difference_p_holm"], 1 - inputs.params.metrics.confidence
    verdict = "an effect on stability is not distinguishable from chance"
    if p < level:
        verdict = f"supported: decisions get {'more' if row['mean_difference'] > 0 else 'less'} stable"
    changed = f"mean SSI changes by {estimate(row, 'mean_difference')}, p = {p_value(p)}".replace("= <", "< ")
    others = "" if row.get("estimated") else f" {count(row['n_different'])} of which have another SSI,"
    over = f"Over {count(row['n_pairs'])} prompts,{others} {changed}."
    return f"{who}: {verdict}. {over}{_besides(row, level)}{_unequal(row)}"


def _besides(row: Row, level: float) -> str:
    """The other changes that are supported."""
    found = [f"{what} {estimate(row, name)}" for name, what in OTHER_CHANGES.items() if row[f"{name}_p_holm"] < level]
    return f" Other supported changes, in points: {'; '.join(found)}." if found else " No other change is supported."


def _unequal(row: Row) -> str:
    """A warning where one side has more decisions; empty where the two are about equal."""
    if not differ(row["mean_n_a"], row["mean_n_b"]):
        return ""
    return (
        f" The sides have {row['mean_n_a']:.1f} and {row['mean_n_b']:.1f} decisions a prompt, which alone moves SSI "
        f"and flips. The agreement of two samples, which does not depend on it, changes by "
        f"{estimate(row, 'mean_ssi_pairwise_difference')}."
    )


def interventions(inputs: ReportInputs) -> Section | None:
    """The changes against the control; None in a study of one intervention."""
    rows = inputs.rows("interventions")
    if not rows:
        return None
    pooled, who = _pooled(inputs), (inputs.who, described("control"))
    single = [row for row in rows if not math.isnan(row["temperature"])]
    several = len({row["temperature"] for row in single}) > 1
    tables = filled(
        laid_out(
            "interventions",
            "Change against the control, over all temperatures and seeds, paired by prompt.",
            pooled,
            *who,
            *each("n_pairs n_benign"),
            *CHANGES,
            notes=("REFUSE and COMPLY: over the prompts that are not benign. Over-refusal: over the benign ones.",),
        ),
        laid_out(
            "intervention_tests",
            "Is the change larger than chance? p after Holm's correction.",
            pooled,
            *who,
            *CORRECTED,
            notes=(_tested_by(pooled),),
        ),
        laid_out("intervention_moves", "Prompts that changed between stable and unstable.", pooled, *who, *MOVES),
        laid_out(
            "interventions_by_temperature",
            "Change against the control at each temperature, over seeds.",
            single if several else [],
            *who,
            described("temperature"),
            *CHANGES,
            described("mean_difference_p_holm"),
        ),
        laid_out(
            "intervention_prompts",
            f"Up to {MOST_MOVED} prompts of each intervention that became stable or unstable, over all temperatures.",
            _most_moved(inputs),
            inputs.quoted_prompt,
            *who,
            *each("became towards ssi_a ssi_b majority_a majority_b"),
        ),
    )
    text = (
        *effects(inputs),
        f"Supported means p below {1 - inputs.params.metrics.confidence:.2g} after Holm's correction over all changes "
        "of the model. Not distinguishable does not mean that there is no effect: look at how wide the interval is.",
    )
    return Section("interventions", "Does an intervention stabilise?", text, (), tables, inputs.show("interventions"))


def _tested_by(rows: list[Row]) -> str:
    test = "T tests of estimated" if rows[0].get("estimated") else "Sign flips of the paired"
    return f"{test} differences. The family is all tests of a model in this table."


def _most_moved(inputs: ReportInputs) -> list[Row]:
    """The pooled rows of the prompts that moved, those whose SSI changed most first."""
    moved = [row for row in inputs.rows("intervention_prompts") if math.isnan(row["temperature"])]
    chosen: list[Row] = []
    for model, intervention in inputs.labels:
        mine = [row for row in moved if (row["model"], row["intervention"]) == (model, intervention)]
        mine.sort(key=lambda row: (-abs(row["ssi_b"] - row["ssi_a"]), row["prompt_id"]))
        chosen += mine[:MOST_MOVED]
    return chosen
