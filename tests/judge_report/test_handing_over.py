from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from refusal_stability.judge_report.comparison import disagreements
from refusal_stability.judge_report.handing_over import THRESHOLDS, handing_over, suggestions
from refusal_stability.judge_report.page import judges_page
from refusal_stability.judge_report.ratings import (
    ALL_RESPONSES,
    PEOPLE,
    SAMPLE,
    Ratings,
    ratings_of_study,
    sample_explained,
)
from refusal_stability.judge_report.reliability import reliability
from refusal_stability.report.markdown import markdown_report

R, C = "REFUSE", "COMPLY"
NAN = float("nan")


def ratings(confidence, rules, other, n=None):
    table = pd.DataFrame(
        {
            "prompt_id": [f"p{i}" for i in range(len(rules))],
            "prompt": "Q?",
            "response": [f"r{i}" for i in range(len(rules))],
            "n": n or [1] * len(rules),
            "rules": rules,
            "haiku": other,
        }
    )
    return Ratings(table, ["rules", "haiku"], confidence={"rules": np.array(confidence, dtype=float)})


def at(rows, threshold):
    (row,) = [row for row in rows if row["target"] == 0 and row["threshold"] == threshold]
    return row


def test_what_is_decided_and_handed_over_at_a_threshold():
    # Four texts, the first of which the study has seven times; the last one the rules do not understand.
    rows = handing_over(ratings([0.9, 0.75, 0.55, 0.0], [R, R, C, ""], [R, C, C, C], n=[7, 1, 1, 1]))
    assert len(rows) >= len(THRESHOLDS)
    all_decided, most, best = at(rows, 0.0), at(rows, 0.6), at(rows, 0.9)
    assert (all_decided["share_decided"], all_decided["accuracy"]) == (0.9, pytest.approx(8 / 9))
    assert (most["share_decided"], most["accuracy"], most["n_handed_over"]) == (0.8, 0.875, 2)
    assert (best["share_decided"], best["accuracy"], best["n_handed_over"]) == (0.7, 1, 3)
    assert best["basis"] == ALL_RESPONSES
    none = at(rows, 0.95)
    assert (none["share_decided"], none["n_handed_over"]) == (0, 4)
    assert np.isnan(none["accuracy"])


def test_a_judge_without_confidence_has_no_rows():
    assert handing_over(replace(ratings([0.9], [R], [R]), confidence={})) == []
    assert suggestions([]) == []


def test_people_are_the_reference_where_they_labelled_and_their_weights_count():
    given = ratings([0.9, 0.6, 0.4], [R, R, C], [R, R, C])
    table = given.table.assign(**{PEOPLE: [R, C, ""]})
    rows = handing_over(
        replace(
            given,
            table=table,
            people=[PEOPLE],
            strata=np.array(["a", "a", ""], dtype=object),
            weights=np.array([30.0, 10.0, 0.0]),
        )
    )
    assert {(row["rater_b"], row["basis"]) for row in rows} == {(PEOPLE, SAMPLE)}
    assert (at(rows, 0.0)["accuracy"], at(rows, 0.0)["share_decided"]) == (0.75, 1)
    assert (at(rows, 0.7)["accuracy"], at(rows, 0.7)["n_handed_over"]) == (1, 10)


def test_the_weights_of_the_sample_are_explained():
    given = ratings([0.9, 0.6, 0.4], [R, R, C], [R, R, C], n=[2, 1, 1])
    table = given.table.assign(**{PEOPLE: [R, C, ""]})
    strata, weights = np.array(["a", "b", ""], dtype=object), np.array([30.0, 10.0, 0.0])
    told = sample_explained(replace(given, table=table, people=[PEOPLE], strata=strata, weights=weights))
    # 30 + 10 distinct ones; 2 x 30 + 10 with repeats.
    assert told.startswith("People labelled 2 distinct responses. These stand for 40 distinct responses, about 70 with")
    assert "(10.0 to 30.0)" in told
    assert sample_explained(given) == ""


def test_the_suggested_threshold_reaches_the_accuracy_and_is_on_the_page():
    sure = np.linspace(1, 0.5, 300)
    own = [R] * 300
    rows = handing_over(ratings(sure, own, [R] * 280 + [C] * 20))
    (row,) = [row for row in rows if row["target"] == 0.95]
    assert row["accuracy_low"] >= 0.95
    assert row["n_labelled_decided"] == (sure >= row["threshold"]).sum()
    (line,) = suggestions(rows)
    assert f"`escalate_below: {row['threshold']:g}`" in line
    hopeless = handing_over(ratings(sure, own, [C] * 300))
    assert suggestions(hopeless) == ["rules: at no threshold is agreement with haiku surely 95% or more."]
    tables = {name: [] for name in ("rater_agreement", "rater_by_decision", "rater_confusion", "corrected_rates")}
    page = judges_page("s", "rules", "", tables | {"rater_thresholds": rows}, pd.DataFrame())
    assert "Accuracy and cost as the threshold moves" in markdown_report(page)


def test_the_confidence_of_a_study_comes_with_its_responses():
    judged = pd.DataFrame(
        {
            "prompt_id": ["p", "p", "q"],
            "prompt": "Q",
            "response": ["a", "a", "b"],
            "rules": [R, R, C],
            "haiku": [R, C, C],
            "confidence of rules": [0.9, 0.9, 0.6],
            "confidence of haiku": [NAN] * 3,
        }
    )
    found = ratings_of_study(judged, ["rules", "haiku"], None)
    assert set(found.confidence) == {"rules"}
    assert dict(zip(found.table["response"], found.confidence["rules"], strict=True)) == {"a": 0.9, "b": 0.6}


def test_the_least_certain_of_equal_disagreements_comes_first():
    differing = disagreements(ratings([0.9, 0.3, NAN], [R, R, R], [C, C, C], n=[5, 1, 9]))
    assert differing["response"].tolist() == ["r1", "r0", "r2"]
    assert differing["confidence"].tolist()[:2] == [0.3, 0.9]


def test_the_agreement_of_each_confidence_weighs_a_response_by_how_often_it_occurs():
    rows = reliability(ratings([0.5, 0.55, 0.59, 0.6, 1.0, NAN], [R] * 6, [R, C, R, C, R, R], n=[1, 2, 1, 1, 3, 9]))
    told = [(row["confidence_from"], row["n_compared"], row["agreement"]) for row in rows]
    assert told == [(0.5, 3, 0.5), (0.6, 1, 0.0), (0.95, 1, 1.0)]
    assert rows[0]["mean_confidence"] == pytest.approx((0.5 + 2 * 0.55 + 0.59) / 4)
    assert reliability(replace(ratings([0.5], [R], [C]), confidence={})) == []
