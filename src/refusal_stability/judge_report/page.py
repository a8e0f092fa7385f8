"""The judge report as a page, and its agreement table for a terminal; both on the report's own layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from refusal_stability.judge_report.comparison import EVERYBODY
from refusal_stability.judge_report.handing_over import suggestions
from refusal_stability.records import DECISION_NAMES
from refusal_stability.report.content import Picture, Report, Section
from refusal_stability.tables.layout import Layout, Shown, described, each, laid_out, numbers, words
from refusal_stability.tables.number_format import Row

SHOWN = 200
CLUSTERED = 0.05  # a smaller p-value says that errors are not independent
RATERS = (words("First", "rater_a"), words("Second", "rater_b"), words("Basis", "basis"))

Tables = Mapping[str, Sequence[Mapping[str, Any]]]


def judges_page(
    title: str,
    primary: str | None,
    intro: str,
    tables: Tables,
    differing: pd.DataFrame,
    reliability: Picture | None = None,
) -> Report:
    """The page of a report's tables, with the figure of their reliability and the first disagreements in full."""
    about = [intro, "Brackets are 95 % bootstrap intervals over prompts."]
    about += [f"The primary judge is {primary}."] if primary else []
    sections = [
        Section("agreement", "Agreement", tuple(about), tables=(agreement(tables),)),
        *([_corrected(tables["corrected_rates"])] if tables["corrected_rates"] else []),
        *([_stability(tables["corrected_stability"])] if tables.get("corrected_stability") else []),
        Section(
            "by-decision",
            "By decision",
            ("Precision, recall and F1 of the first rater; the second is the reference.",),
            tables=(
                laid_out(
                    "by_decision",
                    "Errors by decision.",
                    tables["rater_by_decision"],
                    words("First", "rater_a"),
                    words("Reference", "rater_b"),
                    *each("decision support precision recall f1"),
                ),
            ),
        ),
        Section("confusion", "Confusion", tables=_confusions(tables["rater_confusion"])),
        *([_reliability(tables["rater_reliability"], reliability)] if reliability else []),
        *([_thresholds(tables["rater_thresholds"])] if tables["rater_thresholds"] else []),
        _disagreements(differing),
    ]
    return Report(f"Judges: {title}", "How far do judges and people agree, and where do they differ?", tuple(sections))


def agreement(tables: Tables) -> Layout:
    """How far each pair of raters agrees."""
    mean_f1 = {
        (row["rater_a"], row["rater_b"]): row for row in tables["rater_by_decision"] if row["decision"] == EVERYBODY
    }
    f1 = described("f1", "Macro-F1")

    def macro(row: Row) -> str:
        pair = (row["rater_a"], row["rater_b"])
        return f1.read(mean_f1[pair]) if pair in mean_f1 else ""

    columns = (
        described("n_both", "Labelled by both"),
        described("n_prompts", "Prompts"),
        *each("raw_agreement cohens_kappa krippendorff_alpha"),
        numbers("Macro-F1", macro),
    )
    return laid_out("agreement", "Agreement of each pair of raters.", tables["rater_agreement"], *RATERS, *columns)


def _corrected(rates: Sequence[Mapping[str, Any]]) -> Section:
    kinds, least = rates[0]["n_strata"], rates[0]["least_labelled"]
    return Section(
        "rates",
        "Rates corrected by people's labels",
        (
            "The primary judge's rates, and the same rates corrected by people's labels of a weighted sample "
            "(prediction-powered inference). The interval covers what the sample leaves open; with few labels it can "
            "end below 0% or over 100%.",
            f"The sample is drawn from {kinds} kinds of response. Each has {least} or more labelled items.",
        ),
        tables=(
            laid_out(
                "corrected_rates",
                "Rates as the judge labels, and as people would.",
                rates,
                *each("model intervention decision raw_rate corrected_rate n_labelled"),
            ),
        ),
    )


def _stability(rows: Sequence[Mapping[str, Any]]) -> Section:
    text = [
        "Judge errors look like instability. The corrected figures are those of the true decisions, with people or "
        "another judge taken to be right. They assume that errors are independent given the true decisions.",
        "The interval covers what the prompts and the labelled responses leave open.",
    ]
    clustered = sorted({row["reference"] for row in rows if row["error_pairs_p"] < CLUSTERED})
    if clustered:
        text.append(
            f"Errors cluster within prompts (reference {', '.join(clustered)}): that assumption does not hold, and the "
            "corrected figures are too stable."
        )
    names = "model intervention reference figure method uncorrected corrected n_prompts n_calibration error_pairs "
    names += "error_pairs_expected error_pairs_p"
    table = laid_out("corrected_stability", "Stability as judged, and without the judge's errors.", rows, *each(names))
    return Section("stability", "Stability without the judge's errors", tuple(text), tables=(table,))


def _reliability(rows: Sequence[Mapping[str, Any]], picture: Picture) -> Section:
    columns = (
        words("Judge", "rater_a"),
        words("Reference", "rater_b"),
        words("Confidence", lambda row: f"{row['confidence_from']:g} to {row['confidence_to']:g}"),
        numbers("Responses", lambda row: f"{row['n_compared']:,}"),
        numbers("Mean confidence", lambda row: f"{row['mean_confidence']:.3f}"),
        numbers("Agrees", lambda row: f"{row['agreement']:.3f}"),
    )
    table = laid_out("reliability", "By confidence.", rows, *columns)
    remark = "How often a judge's decisions of each confidence are those of the reference."
    return Section("reliability", "Reliability of the confidence", (remark,), (), (table,), (picture,))


def _thresholds(rows: Sequence[Mapping[str, Any]]) -> Section:
    fixed, reached = ([row for row in rows if bool(row["target"]) == wanted] for wanted in (False, True))
    names = "threshold share_decided accuracy accuracy_low n_labelled_decided n_handed_over"
    raters = (words("Judge", "rater_a"), words("Reference", "rater_b"))
    return Section(
        "thresholds",
        "Accuracy and cost as the threshold moves",
        (
            "With escalate_below, a judge hands over what it is less confident of. Accuracy is that of its own "
            "decisions. A model judge costs one call for each distinct response handed over.",
            *suggestions(rows),
        ),
        tables=(
            laid_out("thresholds", "By threshold.", fixed, *raters, *each(names)),
            *(
                [
                    laid_out(
                        "targets",
                        "What share can be decided at which accuracy.",
                        reached,
                        *raters,
                        *each(f"target {names}"),
                    )
                ]
                if reached
                else []
            ),
        ),
    )


def _confusions(cells: Sequence[Mapping[str, Any]]) -> tuple[Layout, ...]:
    layouts: list[Layout] = []
    for (first, second), group in groupby(cells, key=lambda cell: (cell["rater_a"], cell["rater_b"])):
        counts: dict[str, dict[str, Any]] = {}
        for cell in group:
            counts.setdefault(cell["label_a"], {"label": cell["label_a"]})[cell["label_b"]] = cell["n_label"]
        title = f"{first} (rows) against {second} (columns)."
        columns = (words(first, "label"), *map(_responses, DECISION_NAMES))
        layouts.append(laid_out(f"confusion_{len(layouts)}", title, counts.values(), *columns))
    return tuple(layouts)


def _responses(decision: str) -> Shown:
    return numbers(decision, lambda row: f"{row[decision]:.0f}")


def _disagreements(differing: pd.DataFrame) -> Section:
    shown: list[Row] = [
        {str(name): value for name, value in row.items()} for row in differing.head(SHOWN).to_dict("records")
    ]
    text = (
        f"{len(shown)} of {len(differing)} distinct responses on which raters disagree; all are in disagreements.csv. "
        "Requests and responses are shown as plain text."
    )
    columns = (
        described("n_responses", "Times"),
        words("Decisions", "decisions"),
        numbers("Confidence", lambda row: "" if pd.isna(row["confidence"]) else f"{row['confidence']:.2f}"),
        words("Request", "prompt", "verbatim"),
        words("Response", "response", "verbatim"),
    )
    layout = laid_out("disagreements", "Responses on which raters disagree.", shown, *columns)
    return Section("disagreements", "Disagreements, worst first", (text,), tables=(layout,) if shown else ())
