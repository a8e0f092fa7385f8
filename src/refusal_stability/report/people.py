"""The report's section on people's labels: the judges' agreement with them, and the rates that they correct."""

from __future__ import annotations

from refusal_stability.report.content import Section
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.tables.layout import described, each, filled, laid_out, words


def people(inputs: ReportInputs) -> Section | None:
    """How far the judges agree with people, and what people would have found; nothing without people's labels."""
    sample = inputs.rows("people_sample")
    if not sample:
        return None
    text = [sample[0]["explained"]]
    if why := sample[0]["uncorrected_because"]:
        text.append(f"Rates are not corrected by people's labels: {why}.")
    if inputs.rows("people_rates"):
        text.append(
            "A corrected rate is the judge's rate, minus its error on the labelled sample (prediction-powered "
            "inference). Its interval covers what the sample leaves open; with few labels it can end below 0% "
            "or over 100%."
        )
    judge = words("Judge", "rater_a")
    tables = filled(
        laid_out(
            "people_agreement",
            "Agreement with people on the responses that they labelled, weighted to stand for all.",
            inputs.rows("people_agreement"),
            judge,
            described("n_both", "Labelled by both"),
            *each("raw_agreement cohens_kappa krippendorff_alpha"),
        ),
        laid_out(
            "people_by_decision",
            "Each judge's errors by decision; people are the reference.",
            inputs.rows("people_by_decision"),
            judge,
            words("Decision", lambda row: "mean" if row["decision"] == "all" else row["decision"]),
            *each("precision recall f1"),
        ),
        laid_out(
            "people_rates",
            "Rates as the primary judge labels, and as people would.",
            inputs.rows("people_rates"),
            inputs.who,
            *each("decision raw_rate corrected_rate n_labelled"),
        ),
    )
    return Section("people", "Against people", tuple(text), (), tables)
