from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from refusal_stability.judge_report.comparison import compare_raters, disagreements
from refusal_stability.judge_report.ratings import ALL_RESPONSES, PEOPLE, SAMPLE, Ratings, units_of

R, P, C = "REFUSE", "PARTIAL", "COMPLY"


def ratings(n=None, people=None, prompts=None, **judges):
    rows = len(next(iter(judges.values())))
    table = pd.DataFrame(
        {
            "prompt_id": prompts or [f"p{i}" for i in range(rows)],
            "prompt": "Q?",
            "response": [f"r{i}" for i in range(rows)],
            "n": n or [1] * rows,
            **judges,
        }
    )
    if people is None:
        return Ratings(table, list(judges))
    table[PEOPLE] = people["labels"]
    return Ratings(
        table, list(judges), [PEOPLE], np.array(people["strata"], dtype=object), np.array(people["weights"], float)
    )


def only(rows, **where):
    (row,) = [r for r in rows if all(r[k] == v for k, v in where.items())]
    return row


def test_agreement_of_two_judges_by_hand():
    # 4 responses alike REFUSE, 1 alike COMPLY, 1 REFUSE against COMPLY. p_o = 5/6; marginals: a 5 R 1 C, b 4 R 2 C
    # p_e = (5*4 + 1*2) / 36 = 22/36; kappa = (30/36 - 22/36) / (14/36) = 8/14. One response b did not decide.
    table = ratings(a=[R, R, R, R, C, R, R], b=[R, R, R, R, C, C, ""])
    row = compare_raters(table, 500, 0)["rater_agreement"][0]
    assert (row["rater_a"], row["rater_b"], row["basis"], row["n_both"]) == ("a", "b", ALL_RESPONSES, 6)
    assert row["raw_agreement"] == pytest.approx(5 / 6)
    assert row["cohens_kappa"] == pytest.approx(8 / 14)
    assert row["cohens_kappa_low"] <= row["cohens_kappa"] <= row["cohens_kappa_high"]


def test_a_response_counts_as_often_as_the_study_has_it():
    single = ratings(a=[R, R, R, C], b=[R, R, R, R], prompts=["p0", "p0", "p0", "p1"])
    one_by_one = compare_raters(single, 300, 0)["rater_agreement"][0]
    grouped = compare_raters(ratings(n=[3, 1], a=[R, C], b=[R, R]), 300, 0)["rater_agreement"][0]
    assert grouped == one_by_one


def test_intervals_resample_prompts():
    # 40 prompts of 10 responses. The judges differ on whole prompts: 40 units, not 400, so the interval is about
    # sqrt(10) times as wide. Share 3/4: standard error sqrt(.75 * .25 / 40) = .0685.
    whole = [R] * 300 + [C] * 100
    prompts = [f"p{i // 10}" for i in range(400)]
    by_prompt, by_response = (
        compare_raters(ratings(a=[R] * 400, b=whole, prompts=ids), 4000, 0)["rater_agreement"][0]
        for ids in (prompts, None)
    )
    assert (by_prompt["n_prompts"], by_response["n_prompts"]) == (40, 400)
    width = by_prompt["raw_agreement_high"] - by_prompt["raw_agreement_low"]
    assert width == pytest.approx(2 * 1.96 * 0.0685, rel=0.1)
    assert width > 2.5 * (by_response["raw_agreement_high"] - by_response["raw_agreement_low"])
    assert by_prompt["raw_agreement"] == by_response["raw_agreement"]


def test_the_peoples_sample_resamples_prompts_and_keeps_each_stratum_its_size():
    # Stratum a stands for 900 responses, b for 100. Prompts of four items are right or wrong as a whole.
    right = np.repeat(np.arange(40) % 4 > 0, 4)
    strata = ["a"] * 80 + ["b"] * 80
    people = {"labels": np.where(right, R, C).tolist(), "strata": strata, "weights": [900 / 80] * 80 + [100 / 80] * 80}
    prompts = [f"p{i // 4}" for i in range(160)]
    rows = [
        compare_raters(ratings(judge=[R] * 160, people=people, prompts=ids), 4000, 0)["rater_agreement"][0]
        for ids in (prompts, None)
    ]
    assert [row["n_prompts"] for row in rows] == [40, 160]
    widths = [row["raw_agreement_high"] - row["raw_agreement_low"] for row in rows]
    # 20 prompts in stratum a and 20 in b: sqrt(.1875 / 20 * (.9^2 + .1^2)) = .0877.
    assert widths[0] == pytest.approx(2 * 1.96 * 0.0877, rel=0.15)
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.2)


def test_rows_without_ids_are_known_by_their_text():
    table = pd.DataFrame({"prompt_id": ["", "", "", "", "x"], "prompt": ["Q?", "Q?", "", "", "Q?"]})
    assert np.unique(units_of(table), return_counts=True)[1].tolist() == [1, 1, 1, 2]


def test_judges_are_compared_on_single_responses_where_one_decides_a_text_in_two_ways():
    # b decided the same text REFUSE two times of three and COMPLY once: together REFUSE, but one in three differs.
    cells = pd.DataFrame({"prompt_id": "p0", "a": [R, R], "b": [R, C], "n": [2, 1]})
    row = compare_raters(replace(ratings(n=[3], a=[R], b=[R]), cells=cells), 100, 0)["rater_agreement"][0]
    assert row["raw_agreement"] == pytest.approx(2 / 3)
    assert row["n_both"] == 3


def test_figures_against_people_agree_with_scikit_learn():
    rng = np.random.default_rng(4)
    people = rng.choice([R, P, C], 60)
    judge = np.where(rng.random(60) < 0.7, people, rng.choice([R, P, C], 60))
    table = ratings(
        judge=judge.tolist(), people={"labels": people.tolist(), "strata": ["s"] * 60, "weights": [1.0] * 60}
    )
    tables = compare_raters(table, 200, 0)
    assert tables["rater_agreement"][0]["cohens_kappa"] == pytest.approx(cohen_kappa_score(people, judge))
    macro = only(tables["rater_by_decision"], decision="all")
    assert macro["f1"] == pytest.approx(f1_score(people, judge, average="macro"))
    assert only(tables["rater_by_decision"], decision=C)["f1"] == pytest.approx(
        f1_score(people, judge, labels=[C], average=None)[0]
    )


def test_the_peoples_sample_is_weighted_to_stand_for_all_responses():
    # Two strata: an item of weight 9 decided alike, one of weight 1 decided otherwise; one row was not sampled.
    table = ratings(
        judge=[R, C, C], people={"labels": [R, R, ""], "strata": ["big", "small", ""], "weights": [9, 1, 0]}
    )
    row = compare_raters(table, 200, 0)["rater_agreement"][0]
    assert (row["basis"], row["n_both"]) == (SAMPLE, 2)
    assert row["raw_agreement"] == pytest.approx(0.9)
    confusion = compare_raters(table, 200, 0)["rater_confusion"]
    assert only(confusion, label_a=R, label_b=R)["n_label"] == 9
    assert only(confusion, label_a=C, label_b=R)["n_label"] == 1


def test_a_panel_of_three_has_an_alpha_of_its_own_without_its_majority():
    # Units (2R), (2C), (1R 1C) per pair of a and b; c only decides the first two. Observed disagreement: the third
    # unit alone, 2*1/(2-1) = 2. Decisions: R 3+1 = 4, C 3+1 = 4, n = 8. alpha = 1 - 7*2/(64-32) = 1 - 14/32.
    table = ratings(a=[R, C, R], b=[R, C, C], c=[R, C, ""], majority=[R, C, C])
    row = only(compare_raters(table, 200, 0)["rater_agreement"], rater_b="all")
    assert row["krippendorff_alpha"] == pytest.approx(1 - 14 / 32)
    assert row["raw_agreement"] == pytest.approx(2 / 3)
    assert np.isnan(row["cohens_kappa"])


def test_the_same_seed_gives_the_same_intervals():
    table = ratings(a=[R, R, C, C, P, R], b=[R, C, C, C, P, P])
    assert compare_raters(table, 100, 3) == compare_raters(table, 100, 3)
    assert compare_raters(table, 100, 3) != compare_raters(table, 100, 4)


def test_disagreements_come_worst_first():
    table = ratings(
        n=[1, 9, 5, 1, 2],
        a=[R, R, R, C, R],
        b=[P, C, C, C, ""],
        people={"labels": ["", "", R, "", ""], "strata": ["", "", "s", "", ""], "weights": [0, 0, 1, 0, 0]},
    )
    found = disagreements(table)
    # REFUSE against COMPLY first; of these what people labelled (5 times) before what is commonest (9 times).
    assert found["response"].tolist() == ["r2", "r1", "r0"]
    assert found["distance"].tolist() == [2, 2, 1]
    assert found["decisions"].tolist() == [
        "a REFUSE; b COMPLY; people REFUSE",
        "a REFUSE; b COMPLY",
        "a REFUSE; b PARTIAL",
    ]


def test_judges_of_one_mind_have_no_disagreements():
    assert disagreements(ratings(a=[R, C], b=[R, C])).empty
