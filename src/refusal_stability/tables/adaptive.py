"""The tables that adaptive sampling writes: why each prompt stopped, and the estimated figures."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.files import REPORTS
from refusal_stability.tables.contract import Contract

ADAPTIVE = REPORTS / "adaptive"
VERDICT_NAMES = ("undecided", "stable", "unstable")
REASON_NAMES = ("open", "certified", "certain", "whole grid", "agreed", "budget")
STOPPED_TABLE = Contract(
    "adaptive_prompts",
    {
        "intervention": "text",
        "prompt_id": "text",
        "verdict": "text",
        "reason": "text",
        "taken": "whole",
        "spent": "whole",
        "audited": "flag",
        "p_unstable": "number",
    },
    ("intervention", "prompt_id"),
    {
        "intervention": "what preceded the prompt; `none` is the control",
        "prompt_id": "the prompt's id",
        "verdict": f"{', '.join(VERDICT_NAMES[1:])} or {VERDICT_NAMES[0]}: what the full grid would show",
        "reason": "why it stopped: `certified` (error at most alpha), `certain` (nothing left can change it), `whole "
        "grid`, `agreed` (rule `agreement`), or `budget`",
        "taken": "samples after which the rule stopped it",
        "spent": "samples taken; more than `taken` only where it was audited",
        "audited": "whether it was chosen beforehand to be sampled in full",
        "p_unstable": "posterior chance, when the rule stopped, that the full grid shows it unstable",
    },
)
ESTIMATES_TABLE = Contract(
    "adaptive_estimates",
    {
        "intervention": "text",
        "figure": "text",
        "temperature": "number",
        "estimate": "number",
        "estimate_low": "number",
        "estimate_high": "number",
        "predicted": "number",
        "as_sampled": "number",
    },
    ("intervention", "figure", "temperature"),
    {
        "intervention": "what preceded the prompt; `none` is the control",
        "figure": "the metric column that is estimated",
        "temperature": "within which temperature; empty over the whole grid",
        "estimate": "estimated value of the figure over the full grid",
        "estimate_low": "lower end of its interval at `metrics.confidence`",
        "estimate_high": "upper end of its interval at `metrics.confidence`",
        "predicted": "the same without the audit's correction",
        "as_sampled": "the same figure of the samples as they are: biased by stopping, not to be compared",
    },
)


def stopped_file(model: str) -> Path:
    """Where a model's stopped prompts lie."""
    return ADAPTIVE / f"{model}_prompts.csv"


def estimates_file(model: str) -> Path:
    """Where a model's estimated figures lie."""
    return ADAPTIVE / f"{model}_estimates.csv"
