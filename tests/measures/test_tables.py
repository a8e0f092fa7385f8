"""Tables built from small studies: what no single measure shows, and studies at their limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_studies import SETTINGS, rng_of, study_of, tables_of

from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables import table_tasks
from refusal_stability.measures.tables.categories import membership
from refusal_stability.measures.tables.pairs import side_by_side
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import least_stable_decisions
from refusal_stability.records import MISSING, OUTCOMES, Outcome
from refusal_stability.tables.metrics import METRIC_TABLES

rng = np.random.default_rng(0)
RANDOM = rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1], size=(30, 3, 4))


def test_every_table_has_the_columns_of_its_contract_and_no_others() -> None:
    study = study_of(
        *(RANDOM, RANDOM[::-1], RANDOM[::-1]),
        categories=["a|b", "b", "c"] * 10,
        texts=rng.integers(1, 3, RANDOM.shape, dtype=np.uint64),
        models=("m0", "m1", "m0"),
        interventions=("none", "none", "careful"),
    )
    judged = {"j": RANDOM[..., None].astype(np.int8), "k": rng.integers(-1, 3, (*RANDOM.shape, 2), dtype=np.int8)}
    judged["l"] = judged["k"][::-1, :, :, :1]
    blocked = np.full(judged["j"].shape[:3], OUTCOMES.index(Outcome.BLOCKED), dtype=np.int8)
    more = {"outcomes": blocked, "thinking": judged["l"][..., 0]}
    treated = judged | {"j": judged["j"][::-1]}
    sides = {"none": judged, "careful": treated}
    groups = tuple(Group(g.model, g.intervention, sides[g.intervention], "j", g.texts, **more) for g in study.groups)
    harms = np.array(["harmful", "benign", ""] * 10, dtype=object)
    phrased = (np.array([f"i{i // 3}" for i in range(30)], dtype=object), np.array(["en", "de"] * 15, dtype=object))
    missing = {("m0", "none", "j"): {study.temperatures[1]: {"no verdict": 1}}}
    study = DecisionArrays(
        study.prompt_ids, study.categories, study.temperatures, study.seeds, groups, {}, harms, *phrased, missing
    )
    tables = tables_of(study)
    assert set(tables) == set(METRIC_TABLES)
    # Here everything happens. Where nothing does, this one has its rows.
    assert tables["zero_events"].empty
    tables["zero_events"] = tables_of(study_of(np.zeros_like(RANDOM)))["zero_events"]
    for name, table in tables.items():
        if name.startswith("adaptive"):  # of studies in rounds alone: tests/measures/test_estimated_tables.py
            assert table.empty, name
            continue
        assert len(table), name
        contract = METRIC_TABLES[name][1]
        assert set(table.columns) == set(contract.columns), name
        assert not table.duplicated(list(contract.key)).any(), name


LIMITS = {
    "one prompt": RANDOM[:1],
    "one seed": RANDOM[:, :, :1],
    "one temperature": RANDOM[:, :1],
    "one response": RANDOM[:, :1, :1],
    "one response to one prompt": RANDOM[:1, :1, :1],
    "all the same": np.zeros_like(RANDOM),
    "all missing": np.full_like(RANDOM, -1),
    "all tied": np.tile([0, 2], (30, 3, 2)),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_study_at_its_limits_has_all_its_tables_and_no_impossible_figure(name: str) -> None:
    tables = tables_of(study_of(LIMITS[name], LIMITS[name], categories=["a"] * len(LIMITS[name])))
    for table_name, table in tables.items():
        for column in table.columns:
            if column.startswith(("mean_ssi", "majority_agreement", "chance_of", "agreement", "ssi", "p_unstable")):
                values = table[column].dropna().astype(float)
                assert values.between(-1 if "difference" in column else 0, 1 + 1e-9).all(), (table_name, column)
            if column.endswith("_low"):
                low, high = table[column], table[column.removesuffix("_low") + "_high"]
                assert (low.isna() | (low <= high + 1e-12)).all(), (table_name, column)
        assert not np.isinf(table.select_dtypes("number").to_numpy(float)).any(), table_name
    for table_name in ("per_prompt_metrics", "per_prompt_temperature"):
        table, scope = tables[table_name], [c for c in ("model", "temperature") if c in tables[table_name]]
        known = table.groupby(scope)["n"].transform("max") > 1
        assert ((table["n"] > 0) & known == table["p_unstable"].notna()).all(), table_name
    for table_name in ("aggregate_by_model", "aggregate_by_temperature", "aggregate_by_judge"):
        table = tables[table_name]
        fitted = table[["prior_refuse", "prior_partial", "prior_comply", "pct_expected_unstable"]].notna()
        assert (fitted.all(axis=1) == fitted.any(axis=1)).all(), table_name
        assert table["pct_expected_unstable"].dropna().between(0, 100).all(), table_name
        decided_twice = table["n_responses"] > table["n_prompts"]
        assert (fitted.all(axis=1) == decided_twice).all(), table_name


def test_one_response_a_prompt_says_nothing_of_how_stable_prompts_are() -> None:
    cube = np.where(np.arange(90) < 60, 0, 2).reshape(90, 1, 1)
    tables = tables_of(study_of(cube))
    row = tables["aggregate_by_model"].iloc[0]
    assert (row["pct_unstable"], row["n_prompts"]) == (0, 90)
    assert row[["pct_expected_unstable", "prior_refuse", "prior_partial", "prior_comply"]].isna().all()
    assert tables["per_prompt_metrics"]["p_unstable"].isna().all()
    # one seed at three temperatures: the pooled scope has three responses a prompt, each temperature one
    tables = tables_of(study_of(RANDOM[:, :, :1]))
    assert tables["aggregate_by_model"]["prior_refuse"].notna().all()
    assert tables["aggregate_by_temperature"]["prior_refuse"].isna().all()
    assert tables["per_prompt_temperature"]["p_unstable"].isna().all()


def test_a_prompt_without_a_decision_has_no_chance_of_being_unstable() -> None:
    cube = RANDOM.copy()
    cube[3] = -1
    table = tables_of(study_of(cube))["per_prompt_metrics"]
    assert table.index[table["p_unstable"].isna()].tolist() == [3]


def test_all_the_same_is_perfectly_stable_with_the_exact_bound_of_what_was_not_seen() -> None:
    cube = LIMITS["all the same"]
    tables = tables_of(study_of(cube))
    row = tables["aggregate_by_model"].iloc[0]
    unseen = 1 - 0.05 ** (1 / len(cube))  # a prompt that was not seen may be decided in three ways evenly
    assert (row["mean_ssi"], row["mean_ssi_high"]) == (1, 1)
    assert row["mean_ssi_low"] == pytest.approx(1 - 2 / 3 * unseen)
    assert (row["pct_flipped"], row["pct_flipped_low"], row["std_ssi"]) == (0, 0, 0)
    assert row["pct_flipped_high"] == pytest.approx(100 * unseen)
    assert np.isnan(row["spearman_ssi_comply_rate"])
    draws = tables["stability_by_draws"]
    one = draws[draws["n_draws"] == 1]
    assert (one["pct_flipped_high"] == 0).all()  # a single response cannot flip
    assert (draws.loc[draws["n_draws"] == 2, "pct_flipped_high"] > 0).all()


def test_one_response_to_each_prompt_leaves_stability_no_choice() -> None:
    row = tables_of(study_of(np.zeros((5, 1, 1))))["aggregate_by_model"].iloc[0]
    assert [row[f"mean_ssi{end}"] for end in ("", "_low", "_high")] == [1, 1, 1]
    assert row["mean_refuse_rate_low"] < 1


def test_all_missing_counts_the_missing_and_leaves_figures_empty() -> None:
    tables = tables_of(study_of(LIMITS["all missing"]))
    row = tables["aggregate_by_model"].iloc[0]
    assert (row["n_prompts"], row["n_missing"]) == (0, RANDOM.size)
    assert np.isnan(row["mean_ssi"])
    assert (tables["per_prompt_metrics"]["cluster"] == "").all()


def test_ties_are_counted_and_go_to_the_least_safe() -> None:
    tables = tables_of(study_of(LIMITS["all tied"]))
    assert tables["aggregate_by_model"].iloc[0]["pct_majority_tied"] == 100
    assert (tables["per_prompt_metrics"]["majority"] == "COMPLY").all()
    assert np.isnan(tables["sample_size_least_n"]["least_n"]).all()


def test_one_draw_agrees_as_often_as_mean_ssi_says_even_with_ties() -> None:
    tables = tables_of(study_of(RANDOM))
    curve = tables["sample_size"]
    first = curve[curve["temperature"].isna() & (curve["n_draws"] == 1)].iloc[0]
    assert first["majority_agreement"] == pytest.approx(tables["aggregate_by_model"].iloc[0]["mean_ssi"])


def test_a_pooled_temperature_row_says_that_its_blocks_are_not_independent() -> None:
    tests = tables_of(study_of(RANDOM, RANDOM))["temperature_tests"].set_index("model")
    assert tests.loc["m0", "independent_blocks"]
    assert not tests.loc["*", "independent_blocks"]
    # every block twice: the same ranks, twice the statistic, the same concordance
    assert tests.loc["*", "statistic"] == pytest.approx(2 * tests.loc["m0", "statistic"])
    assert tests.loc["*", "kendalls_w"] == pytest.approx(tests.loc["m0", "kendalls_w"])


def test_pooling_the_same_model_twice_makes_no_interval_narrower() -> None:
    pairs = tables_of(study_of(RANDOM, RANDOM), Settings(0.8, (0.8,), Resampling(20_000, 0.95, rng_of)))
    table = pairs["temperature_pairs"].set_index(["model", "temperature_a", "temperature_b"])
    widths = [
        table.loc[(m, 0.0, 0.7), "mean_difference_high"] - table.loc[(m, 0.0, 0.7), "mean_difference_low"]
        for m in ("m0", "*")
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)


def test_models_are_compared_on_their_common_prompts() -> None:
    worse = RANDOM.copy()
    worse[:, 0] = 2 - worse[:, 0]
    worse[0] = -1
    row = tables_of(study_of(RANDOM, worse))["model_pairs"].iloc[0]
    assert (row["comparison"], row["n_pairs"]) == ("models", 29)
    assert row["mean_difference"] == pytest.approx(row["mean_b"] - row["mean_a"])
    assert row["mean_difference_low"] <= row["mean_difference"] <= row["mean_difference_high"]


def test_models_and_interventions_are_two_families() -> None:
    study = study_of(
        RANDOM,
        RANDOM[::-1],
        RANDOM[:, ::-1],
        RANDOM,
        models=("a", "a", "b", "b"),
        interventions=("none", "firm", "none", "firm"),
    )
    pairs = tables_of(study)["model_pairs"]
    named = pairs[["comparison", "model_a", "intervention_a", "model_b", "intervention_b"]].to_numpy().tolist()
    assert named == [
        ["models", "a", "none", "b", "none"],
        ["models", "a", "firm", "b", "firm"],
        ["interventions", "a", "none", "a", "firm"],
        ["interventions", "b", "none", "b", "firm"],
    ]
    assert (pairs["p_holm"].dropna() >= pairs["p_value"].dropna()).all()


def test_a_prompt_counts_in_each_of_its_categories() -> None:
    found, member = membership(np.array(["b|a", "a", "", " c "], dtype=object))
    assert found == ["a", "b", "c"]
    assert member.tolist() == [[True, True, False], [True, False, False], [False] * 3, [False, False, True]]


def test_a_wavering_category_differs_after_correction_and_a_small_one_is_marked() -> None:
    cube = np.zeros((100, 2, 5), dtype=int)
    cube[:30, :, ::2] = 2
    categories = ["shaky"] * 30 + ["firm"] * 66 + ["few"] * 4
    tables = tables_of(study_of(cube, categories=categories))
    tests = tables["category_tests"].set_index("category")
    assert tests.loc["*", "differs"]
    assert tests["differs"].to_dict() == {"*": True, "shaky": True, "firm": True, "few": False}
    assert tests.loc["shaky", "mean_difference"] == pytest.approx(6 / 10 - 1)
    small = tables["categories"].set_index("category")["small"].to_dict()
    assert small == {"few": True, "firm": False, "shaky": False}


def test_consensus_keeps_only_what_the_judges_agree_on() -> None:
    one = np.array([[[0, 0, 0, 2]], [[0, 0, 0, 0]]], dtype=np.int8)[..., None]
    two = np.array([[[0, 0, 0, 0]], [[0, 0, -1, 0]]], dtype=np.int8)[..., None]
    base = study_of(one)
    groups = (Group("m", "none", {"one": one, "two": two}, "one"),)
    study = DecisionArrays(base.prompt_ids, base.categories, base.temperatures, base.seeds, groups, {})
    row = tables_of(study)["consensus_stability"].iloc[0]
    # the only flip is the response on which they differ; 7 responses have both decisions, 6 alike
    assert (row["judges"], row["n_agreed"], row["pct_flipped"], row["mean_ssi"]) == ("one+two", 6, 0, 1)
    assert row["pct_agreed"] == pytest.approx(600 / 7)


def test_the_panels_majority_counts_neither_in_its_agreement_nor_in_its_consensus() -> None:
    codes = np.random.default_rng(1).integers(0, 3, (3, 12, 2, 3, 1), dtype=np.int8)
    judges = dict(zip("abc", codes, strict=True))
    base = study_of(codes[0])

    def tables(decisions: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
        groups = (Group("m", "none", decisions, "a"),)
        return tables_of(DecisionArrays(base.prompt_ids, base.categories, base.temperatures, base.seeds, groups, {}))

    own, more = tables(judges), tables(judges | {"majority": codes[0]})
    pd.testing.assert_frame_equal(more["consensus_stability"], own["consensus_stability"])
    panel = [t["judge_agreement"].query("judge_a == '*'") for t in (own, more)]
    pd.testing.assert_frame_equal(*(p.reset_index(drop=True) for p in panel))
    assert (more["judge_agreement"]["judge_b"] == "majority").sum() == 3


def test_a_judges_row_is_the_primarys_row_where_it_is_the_primary() -> None:
    tables = tables_of(study_of(RANDOM))
    by_judge = tables["aggregate_by_judge"].set_index("temperature")
    pd.testing.assert_frame_equal(
        by_judge.loc[[0.3]].reset_index(drop=True).drop(columns="judge"),
        tables["aggregate_by_temperature"]
        .iloc[[1]]
        .reset_index(drop=True)
        .drop(columns=["temperature", "primary_judge"]),
    )


@settings(max_examples=4)
@given(st.permutations(range(12)), st.permutations(range(4)))
def test_the_order_of_prompts_and_seeds_changes_no_figure_and_no_interval(prompts: list[int], seeds: list[int]) -> None:
    cube = RANDOM[:12]
    names = ["aggregate_by_model", "threshold_sensitivity", "temperature_pairs", "sample_size", "decomposition"]
    own, shuffled = tables_of(study_of(cube)), tables_of(study_of(cube[prompts][:, :, seeds]))
    for name in names:
        pd.testing.assert_frame_equal(shuffled[name], own[name], check_exact=False, rtol=1e-9, atol=1e-12)


def test_two_sides_are_compared_by_hand() -> None:
    first = np.array([[4, 0, 0], [4, 0, 0], [2, 0, 2], [0, 0, 0]])
    second = np.array([[3, 0, 1], [4, 0, 0], [2, 0, 2], [1, 0, 0]])
    benign = np.zeros(4, dtype=bool)
    rows = {row["figure"]: row for row in side_by_side(first, second, benign, 0.8, SETTINGS.resampling)}
    assert rows["mean_ssi"]["a"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert rows["mean_ssi"]["difference"] == pytest.approx(-0.25 / 3)
    assert rows["pct_flipped"]["difference"] == pytest.approx(100 / 3)
    assert rows["safety_comply_rate"]["b"] == pytest.approx((0.25 + 0 + 0.5) / 3)
    assert "over_refusal" not in rows


def test_two_sides_are_compared_in_safety_without_the_benign_prompts_and_in_over_refusal_on_them() -> None:
    first = np.array([[4, 0, 0], [4, 0, 0], [2, 0, 2]])
    second = np.array([[3, 0, 1], [1, 0, 3], [2, 0, 2]])
    benign = np.array([False, True, False])
    rows = {row["figure"]: row for row in side_by_side(first, second, benign, 0.8, SETTINGS.resampling)}
    assert rows["mean_ssi"]["difference"] == pytest.approx((-0.25 - 0.25 + 0) / 3)
    assert (rows["safety_comply_rate"]["a"], rows["safety_comply_rate"]["b"]) == (0.25, 0.375)
    assert (rows["over_refusal"]["a"], rows["over_refusal"]["b"]) == (1, 0.25)


def test_two_categories_are_one_test() -> None:
    cube = np.zeros((30, 2, 5), dtype=int)
    cube[:8, :, ::2] = 2
    tests = tables_of(study_of(cube, categories=["a"] * 12 + ["b"] * 18))["category_tests"].set_index("category")
    # 12 prompts that hold all 8 wavering ones: C(22, 4) / C(30, 12), and nothing is as extreme on the other side.
    p = comb(22, 4) / comb(30, 12)
    assert tests.loc[["a", "b"], "p_value"].tolist() == pytest.approx([p, p], rel=1e-9)
    assert tests.loc[["a", "b"], "p_holm"].tolist() == pytest.approx([p, p], rel=1e-9)  # not doubled
    assert tests.loc["*", "p_value"] == pytest.approx(p, rel=1e-9)
    assert tests.loc["a", "mean_difference"] == pytest.approx(-tests.loc["b", "mean_difference"])
    # a wins 4 * 18 / 2 of its 12 * 18 pairs by ties, b the rest
    assert tests.loc[["a", "b"], "statistic"].tolist() == [36, 180]
    assert set(tests["p_from"]) == {"all sets"}


def test_categories_that_split_the_prompts_alike_are_corrected_once() -> None:
    rng = np.random.default_rng(2)
    cube = np.where(rng.random((60, 1, 5)) < 0.2, 2, 0)
    # `both` and `other` split the prompts alike; a third category is a second test.
    categories = ["both" if i < 30 else "other" for i in range(60)]
    categories = [f"{name}|third" if i % 3 == 0 else name for i, name in enumerate(categories)]
    tests = tables_of(study_of(cube, categories=categories))["category_tests"].set_index("category")
    assert tests.loc["both", "p_value"] == tests.loc["other", "p_value"]
    least = tests.loc[["both", "third"], "p_value"].min()
    assert tests.loc[["both", "other", "third"], "p_holm"].min() == pytest.approx(min(1.0, 2 * least))


def test_one_family_of_category_tests_has_one_way_to_its_p_values() -> None:
    rng = np.random.default_rng(4)
    cube = np.where(rng.random((400, 1, 20)) < rng.beta(0.3, 0.6, 400)[:, None, None], 2, 0)
    tests = tables_of(study_of(cube, categories=["few"] * 2 + ["many"] * 198 + ["rest"] * 200))["category_tests"]
    # Two prompts alone could be enumerated, 198 of 400 cannot.
    assert set(tests["p_from"]) == {"drawn sets"}
    assert (tests["p_value"] >= 1 / 10_000).all()


def test_prompts_without_a_category_are_no_hidden_group_of_the_test_over_all() -> None:
    cube = np.zeros((60, 1, 5), dtype=np.int8)
    cube[40:, :, :2] = 2  # only the prompts without a category waver
    categories = ["a"] * 20 + ["b"] * 20 + [""] * 20
    tests = tables_of(study_of(cube, categories=categories))["category_tests"].set_index("category")
    assert tests.loc["*", "n_inside"] == 40
    assert np.isnan(tests.loc["*", "p_value"])  # among a and b nothing differs
    assert tests.loc["a", "n_outside"] == 40  # each category is still set against all other prompts
    assert tests.loc["a", "p_value"] < 0.05


def test_sides_with_unequal_numbers_of_decisions_are_told_apart_by_the_unbiased_difference_only_if_they_differ() -> (
    None
):
    # One and the same model on both sides, one of which lost three of its five responses to every prompt.
    rng = np.random.default_rng(3)
    shares = rng.dirichlet([1.0, 0.5, 0.5], size=600)
    drawn = (rng.random((600, 2, 5, 1)) > np.cumsum(shares, axis=1)[:, None, None, :2]).sum(axis=-1)
    codes = drawn.astype(np.int8)
    codes[:, 0, 2:] = MISSING
    within = tables_of(study_of(codes, temperatures=(0.3, 1.0)))["temperature_pairs"].iloc[0]
    between = tables_of(study_of(codes[:, :1], codes[:, 1:]))["model_pairs"].iloc[0]
    for row in (within, between):
        assert (row["mean_n_a"], row["mean_n_b"]) == (2, 5)
        assert row["mean_difference_high"] < 0  # what two decisions cannot show looks like stability
        assert row["p_value"] < 1e-3
        assert row["mean_ssi_pairwise_difference_low"] < 0 < row["mean_ssi_pairwise_difference_high"]


def test_half_and_half_has_no_entropic_stability_in_a_binary_scoring_either() -> None:
    halves = np.array([[[0, 0, 2, 2]]], dtype=np.int8)
    binary = tables_of(study_of(halves))["binary_scoring"].set_index("scoring")["mean_ssi_entropy"]
    # one bit of entropy: 1 - 1 / log2 3 of three decisions, 1 - 1 / log2 2 of two
    assert binary["three_way"] == pytest.approx(1 - 1 / np.log2(3))
    assert (binary["conservative"], binary["lenient"]) == (0, 0)


def test_an_interval_of_few_events_rests_on_those_and_not_on_all_prompts() -> None:
    # 2 of 84 prompts ever comply, after 5 and 10 queries: their mean's interval is that of two units, all they show
    codes = np.zeros((84, 1, 10), dtype=np.int8)
    codes[0, 0, :2], codes[1, 0, :1] = 2, 2
    row = tables_of(study_of(codes))["tail_risk"].iloc[0]
    assert (row["n_ever_comply"], row["mean_queries"]) == (2, 7.5)
    assert (row["mean_queries_low"], row["mean_queries_high"]) == (5, 10)


def test_tables_are_the_same_from_any_number_of_threads_and_in_any_order() -> None:
    codes = np.random.default_rng(5).integers(-1, 3, (2, 30, 2, 4)).astype(np.int8)
    study = study_of(*codes, categories=[["x", "x|y", "y"][i % 3] for i in range(30)])
    expected = tables_of(study)
    resampling = Resampling(300, 0.95, rng_of)
    tasks = table_tasks(study, Settings(SETTINGS.threshold, SETTINGS.thresholds, resampling))
    with ThreadPoolExecutor(4) as threads:
        parts = list(chain.from_iterable(threads.map(lambda task: list(task()), reversed(tasks))))
    assert {name for name, _ in parts} == set(expected) == set(METRIC_TABLES)
    for name, table in expected.items():
        found = pd.concat([part for other, part in parts if other == name], ignore_index=True)
        pd.testing.assert_frame_equal(found, table, check_exact=True)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_the_least_stable_prompts_are_the_first_of_all_prompts_in_order(seed: int, n: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, 3, (1, n, 1, 5)).astype(np.int8)
    study = study_of(*codes)
    prompts = tables_of(study)["per_prompt_metrics"]
    flipped = prompts[prompts["flip"]].assign(less=lambda rows: -rows["n"])
    expected = flipped.sort_values(["ssi", "less", "prompt_id"])["prompt_id"].tolist()[:10]
    found = least_stable_decisions(study, SETTINGS)
    assert found["prompt_id"].drop_duplicates().tolist() == expected
