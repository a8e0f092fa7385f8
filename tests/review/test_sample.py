import numpy as np
import pandas as pd
import pytest

from refusal_stability.judge_report.corrected_table import corrected_rows, uncorrectable
from refusal_stability.judge_report.ratings import PEOPLE, rate
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.records import DECISION_NAMES
from refusal_stability.review.labels import People
from refusal_stability.review.sample import check_sample, distinct_responses, draw_sample, item_of

R, P, C = DECISION_NAMES
JUDGES = ["one", "two"]


def judged(*rows):
    """Cells of a study: (prompt_id, response, one, two), and the model where it is not m."""
    table = pd.DataFrame([(*row, "m")[:5] for row in rows], columns=["prompt_id", "response", *JUDGES, "model"])
    table["prompt"] = "Q " + table["prompt_id"]
    return table.assign(intervention="none", temperature=0.0, seed=np.arange(len(table)))


def study(rng, prompts=40, cells=6, error=0.2):
    """Responses whose text tells what people would say; judge one errs on COMPLY, judge two at random."""
    rows = []
    for p in range(prompts):
        for _ in range(cells):
            truth = DECISION_NAMES[rng.integers(3)] if p % 2 else DECISION_NAMES[p % 3]
            text = f"{truth} {rng.integers(4)}"
            wrong = np.random.default_rng([p, *text.encode()]).random()
            one = R if truth == C and wrong < error else truth
            rows.append((f"p{p:02}", text, one, DECISION_NAMES[(DECISION_NAMES.index(truth) + (wrong > 0.9)) % 3]))
    return judged(*rows)


def asked(sample, **reviewers):
    """People's labels of a sample: each reviewer answers by a function of the response."""
    labels = pd.DataFrame({name: sample["response"].map(answer) for name, answer in reviewers.items()})
    return People(sample, labels.set_axis(sample["item_id"]))


def truth(response):
    return response.split()[0]


def test_equal_responses_to_a_prompt_are_one_row_with_their_number():
    table = distinct_responses(judged(("a", "x", R, R), ("a", "x", R, C), ("a", "y", C, ""), ("b", "x", P, P)), JUDGES)
    assert table[["prompt_id", "response", "n", "one", "two"]].to_numpy().tolist() == [
        ["a", "x", 2, R, C],
        ["a", "y", 1, C, ""],
        ["b", "x", 1, P, P],
    ]
    assert table["item_id"].is_unique


def test_strata_are_disagreement_then_borderline_then_plain():
    rows = [("a", "x", R, R), ("a", "y", C, C), ("b", "x", R, R), ("c", "x", R, C), ("d", "x", P, "")]
    sample = draw_sample(judged(*rows), JUDGES, "one", 10, 0)
    found = dict(zip(zip(sample["prompt_id"], sample["response"], strict=True), sample["stratum"], strict=True))
    assert found == {
        ("a", "x"): "borderline:REFUSE",
        ("a", "y"): "borderline:COMPLY",
        ("b", "x"): "plain:REFUSE",
        ("c", "x"): "disagreement:REFUSE",
        ("d", "x"): "plain:PARTIAL",
    }
    assert set(sample["weight"]) == {1.0}


def test_weights_stand_for_every_different_response_and_rare_kinds_are_oversampled():
    table = study(np.random.default_rng(1))
    sample = draw_sample(table, JUDGES, "one", 60, 0)
    assert len(sample) == 60
    assert sample["weight"].sum() == pytest.approx(len(distinct_responses(table, JUDGES)))
    weights = sample.groupby(sample["stratum"].str.partition(":")[0])["weight"].mean()
    assert weights["disagreement"] < weights["borderline"] < weights["plain"]
    assert sample.groupby("stratum").size().min() >= 2


def test_the_same_seed_draws_the_same_sample_whatever_the_order_of_the_rows():
    table = study(np.random.default_rng(1))
    sample = draw_sample(table, JUDGES, "one", 30, 5)
    assert draw_sample(table.iloc[::-1].reset_index(drop=True), JUDGES, "one", 30, 5).equals(sample)
    assert not draw_sample(table, JUDGES, "one", 30, 6).equals(sample)


@pytest.mark.parametrize(
    ("rows", "size", "said"), [((("a", "x", R, R),), 0, "--size 0"), ((("a", "x", "", R),), 5, "has no decision")]
)
def test_a_sample_that_cannot_be_drawn_says_why(rows, size, said):
    with pytest.raises(JudgingError, match=said):
        draw_sample(judged(*rows), JUDGES, "one", size, 0)


def test_people_together_are_the_commonest_label_and_on_a_tie_the_least_safe():
    table = judged(("a", "x", R, R), ("b", "x", R, R), ("c", "x", R, R))
    sample = draw_sample(table, JUDGES, "one", 3, 0)
    by_prompt = sample.set_index("item_id")["prompt_id"]
    votes = {"a": (R, R, C), "b": (R, C, ""), "c": ("", "", "")}
    labels = pd.DataFrame(
        [votes[by_prompt[i]] for i in sample["item_id"]], columns=["x", "y", "z"], index=sample["item_id"]
    )
    ratings = rate(distinct_responses(table, JUDGES), JUDGES, People(sample, labels))
    assert ratings.table.set_index("prompt_id")[PEOPLE].to_dict() == {"a": R, "b": C, "c": ""}
    # Three responses in the stratum, two of them labelled: each stands for 3/2.
    assert ratings.weights.tolist() == [1.5, 1.5, 0]


def test_people_who_agree_with_the_judge_leave_its_rates_and_an_interval_that_is_not_empty():
    table = study(np.random.default_rng(2), error=0)
    sample = draw_sample(table, JUDGES, "one", 60, 0)
    people = asked(sample, anna=truth)
    rows = corrected_rows(table, rate(distinct_responses(table, JUDGES), JUDGES, people), people, "one", 500, 0)
    for row in rows:
        assert row["corrected_rate"] == pytest.approx(row["raw_rate"])
        assert row["corrected_rate_low"] <= row["corrected_rate"] <= row["corrected_rate_high"]
        assert row["corrected_rate_high"] - row["corrected_rate_low"] > 0.005


@pytest.mark.parametrize("labelled", [80, 40])
def test_corrected_rates_find_the_truth_that_the_judge_misses_with_all_or_some_of_the_sample_labelled(labelled):
    inside, errors, raw_errors, studies = 0, [], [], 40
    for seed in range(studies):
        table = study(np.random.default_rng(seed), error=0.4)
        true = (table["response"].map(truth) == C).mean()
        sample = draw_sample(table, JUDGES, "one", 80, seed)
        done = set(np.random.default_rng(seed).permutation(sample["response"])[:labelled].tolist())
        people = asked(sample, anna=lambda response, done=done: truth(response) if response in done else "")
        ratings = rate(distinct_responses(table, JUDGES), JUDGES, people)
        rows = corrected_rows(table, ratings, people, "one", 300, 0)
        if not rows:  # a kind of response without any label: nothing is claimed
            assert uncorrectable(ratings, people, "one")
            studies -= 1
            continue
        (row,) = [r for r in rows if r["decision"] == C]
        inside += row["corrected_rate_low"] <= true <= row["corrected_rate_high"]
        errors.append(row["corrected_rate"] - true)
        raw_errors.append(row["raw_rate"] - true)
    assert studies >= 15
    assert abs(np.mean(errors)) < 0.03 < abs(np.mean(raw_errors))
    # 95 % of them, less two binomial standard errors
    assert inside >= studies * 0.95 - 2 * np.sqrt(studies * 0.95 * 0.05)


def test_a_table_of_corrected_rates_says_how_many_labels_it_rests_on():
    table = study(np.random.default_rng(2), error=0.4)
    sample = draw_sample(table, JUDGES, "one", 60, 0)
    people = asked(sample, anna=truth)
    rows = corrected_rows(table, rate(distinct_responses(table, JUDGES), JUDGES, people), people, "one", 100, 0)
    sizes = sample.groupby("stratum").size()
    assert {(r["n_labelled"], r["n_strata"], r["least_labelled"]) for r in rows} == {(60, len(sizes), sizes.min())}


def test_a_model_without_a_labelled_response_keeps_its_rate_and_says_that_nothing_is_known_of_it():
    table = study(np.random.default_rng(2), error=0)
    sample = draw_sample(table, JUDGES, "one", 60, 0)
    chosen = set(zip(sample["prompt_id"], sample["response"], strict=True))
    inside = [pair in chosen for pair in zip(table["prompt_id"], table["response"], strict=True)]
    table = table.assign(model=np.where(inside, "m", "other"))
    people = asked(sample, anna=truth)
    rows = corrected_rows(table, rate(distinct_responses(table, JUDGES), JUDGES, people), people, "one", 500, 0)
    (row,) = [r for r in rows if (r["model"], r["decision"]) == ("other", C)]
    assert row["n_labelled"] == 0
    assert row["corrected_rate"] == row["raw_rate"]
    assert row["corrected_rate_high"] - row["corrected_rate_low"] > 0.05


def test_nothing_is_corrected_before_every_kind_of_response_has_a_label():
    table = study(np.random.default_rng(4), error=0.4)
    sample = draw_sample(table, JUDGES, "one", 80, 0)
    kinds = sample.set_index("response")["stratum"]
    people = asked(sample, anna=lambda response: truth(response) if truth(response) != C else "")
    ratings = rate(distinct_responses(table, JUDGES), JUDGES, people)
    why = uncorrectable(ratings, people, "one")
    lacking = set(sample["stratum"]) - set(kinds[[r for r in sample["response"] if truth(r) != C]])
    assert lacking
    assert all(stratum in why for stratum in lacking)
    assert why.startswith(f"{len(lacking)} of {sample['stratum'].nunique()} kinds of response have no label yet")
    assert corrected_rows(table, ratings, people, "one", 100, 0) == []


def test_no_item_id_looks_like_a_number_to_a_spreadsheet():
    ids = [item_of(f"p{i}", "text") for i in range(2_000)]
    assert len(set(ids)) == len(ids)
    assert all(item[0].isalpha() and item.isalnum() for item in ids)


def test_a_sample_of_other_responses_corrects_nothing():
    table = study(np.random.default_rng(3))
    sample = draw_sample(table, JUDGES, "one", 20, 0)
    people = asked(sample, anna=truth)
    more = pd.concat([table, judged(("new", "x", R, R))], ignore_index=True)
    ratings = rate(distinct_responses(more, JUDGES), JUDGES, people)
    assert corrected_rows(more, ratings, people, "one", 100, 0) == []
    assert "drawn from other responses than the study has now" in uncorrectable(ratings, people, "one")
    with pytest.raises(JudgingError, match="drawn from other responses"):
        check_sample(sample, distinct_responses(more, JUDGES), "one")
    check_sample(sample, distinct_responses(table, JUDGES), "one")
