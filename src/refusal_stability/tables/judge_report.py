"""The tables of the judge report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from refusal_stability.files import JUDGE_REPORT
from refusal_stability.records import DECISION_NAMES
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.contract import Contract

_INTERVALS = {
    f"{name}{part}": "number"
    for name in ("raw_agreement", "cohens_kappa", "krippendorff_alpha")
    for part in ("", "_low", "_high")
}
_OF_DECISION = {f"{name}{part}": "number" for name in ("precision", "recall", "f1") for part in ("", "_low", "_high")}
_RATERS = {"rater_a": "text", "rater_b": "text", "basis": "text"}
_BASIS = "`all responses` of the study, or `people's sample`, weighted to stand for them"


def _report_table(name: str, key: str, columns: Mapping[str, str], meaning: Mapping[str, str]) -> tuple[Path, Contract]:
    known = {column: COLUMNS[column].meaning for column in columns if column in COLUMNS}
    return JUDGE_REPORT / f"{name}.csv", Contract(name, columns, tuple(key.split()), known | dict(meaning))


JUDGE_REPORT_TABLES: dict[str, tuple[Path, Contract]] = {
    "rater_agreement": _report_table(
        "rater_agreement",
        "rater_a rater_b",
        {**_RATERS, "n_both": "whole", "n_prompts": "whole", **_INTERVALS},
        {"rater_a": "a judge or person", "rater_b": "another; `all` for the panel as a whole", "basis": _BASIS},
    ),
    "rater_confusion": _report_table(
        "rater_confusion",
        "rater_a rater_b label_a label_b",
        {**_RATERS, "label_a": "text", "label_b": "text", "n_label": "number"},
        {"n_label": "responses with these two decisions", "basis": _BASIS},
    ),
    "rater_by_decision": _report_table(
        "rater_by_decision",
        "rater_a rater_b decision",
        {**_RATERS, "decision": "text", "support": "number", **_OF_DECISION},
        {"decision": "one decision, or `all` for the mean over them", "rater_b": "the reference", "basis": _BASIS},
    ),
    "rater_thresholds": _report_table(
        "rater_thresholds",
        "rater_a rater_b target threshold",
        {
            **_RATERS,
            "target": "number",
            "threshold": "number",
            "n_labelled_decided": "whole",
            "share_decided": "number",
            "accuracy": "number",
            "accuracy_low": "number",
            "n_handed_over": "number",
        },
        {
            "rater_a": "a judge that gives a confidence",
            "rater_b": "the reference: people, or another judge",
            "basis": _BASIS,
            "target": "the accuracy that the row's threshold is the lowest for; 0 for a row of fixed thresholds",
        },
    ),
    "rater_reliability": _report_table(
        "rater_reliability",
        "rater_a rater_b confidence_from",
        {
            **_RATERS,
            "confidence_from": "number",
            "confidence_to": "number",
            "n_compared": "whole",
            "mean_confidence": "number",
            "agreement": "number",
        },
        {
            "rater_a": "a judge that gives a confidence",
            "rater_b": "the reference: people, or another judge",
            "basis": _BASIS,
            "confidence_from": "the least confidence of the row's decisions",
            "confidence_to": "the next row's least confidence",
            "n_compared": "distinct responses that both decided",
            "mean_confidence": "mean confidence of the judge's decisions",
            "agreement": "share of them that are the reference's",
        },
    ),
    "corrected_rates": _report_table(
        "corrected_rates",
        "model intervention decision",
        {
            "model": "text",
            "intervention": "text",
            "decision": "text",
            "n_responses": "whole",
            "n_labelled": "whole",
            "n_strata": "whole",
            "least_labelled": "whole",
            "raw_rate": "number",
            "corrected_rate": "number",
            "corrected_rate_low": "number",
            "corrected_rate_high": "number",
        },
        {
            "corrected_rate_low": "95 % interval, from resampling the people's sample within its strata",
            "n_strata": "kinds of response that the sample is drawn from; each has a label, or no rate is corrected",
            "least_labelled": "labelled items of the kind that has the fewest, in all models together",
        },
    ),
    "corrected_stability": _report_table(
        "corrected_stability",
        "model intervention reference figure method",
        {
            "model": "text",
            "intervention": "text",
            "reference": "text",
            "figure": "text",
            "method": "text",
            "n_prompts": "whole",
            "n_judgements": "whole",
            "n_calibration": "whole",
            "uncorrected": "number",
            "corrected": "number",
            "corrected_low": "number",
            "corrected_high": "number",
            "error_pairs": "whole",
            "error_pairs_expected": "number",
            "error_pairs_p": "number",
        },
        {
            "reference": "who shows the primary judge's errors: people, or another judge taken to be right",
            "figure": "ssi, ssi_pairwise or flip: the mean over prompts",
            "method": "`inverse confusion`, or `latent shares`: docs/method.md, section 8",
            "corrected_low": "95 % interval: prompts, and the labels that show the judge's errors",
        },
    ),
    "corrected_prompts": _report_table(
        "corrected_prompts",
        "model intervention reference prompt_id",
        {
            "model": "text",
            "intervention": "text",
            "reference": "text",
            "prompt_id": "text",
            "n": "whole",
            **{f"{side}_{d.lower()}": "number" for side in ("judged", "corrected") for d in DECISION_NAMES},
            "p_flip": "number",
        },
        {
            "reference": "who shows the primary judge's errors",
            "n": "responses that were judged separately",
            **{f"judged_{d.lower()}": f"share that the primary judge decided {d}" for d in DECISION_NAMES},
            **{f"corrected_{d.lower()}": f"posterior mean of the true share of {d}" for d in DECISION_NAMES},
            "p_flip": "posterior chance that the true decisions of these n responses are not all the same",
        },
    ),
    "disagreements": _report_table(
        "disagreements",
        "rank",
        {
            "rank": "whole",
            "distance": "whole",
            "n_responses": "whole",
            "prompt_id": "text",
            "prompt": "text",
            "response": "text",
            "decisions": "text",
            "confidence": "number",
        },
        {
            "distance": "2 where REFUSE stands against COMPLY, 1 otherwise",
            "n_responses": "how often the study has this very response to this prompt",
            "decisions": "each judge's and person's decision",
            "confidence": "the lowest confidence that a judge gives; empty where none gives one",
        },
    ),
}
