"""Prompts with unequal numbers of responses: what was not sampled is no response, and it is not missing either."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_studies import study_of, tables_of

from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.determinism import identical_and_flipped
from refusal_stability.records import DECISIONS, MISSING, NOT_SAMPLED

CODES = st.sampled_from([NOT_SAMPLED, MISSING, 0, 1, 2])
CUBES = hnp.arrays(np.int8, st.tuples(st.integers(2, 5), st.integers(1, 3), st.integers(1, 4)), elements=CODES)
# What counts responses without a decision, and what asks whether all of a prompt's responses are there.
COUNTS_OF_MISSING = ["n_missing", "missing_share"]


def ragged(responses: list[int]) -> dict[str, object]:
    """A prompt's figures from the plain list of its responses, in plain Python."""
    decided = Counter(code for code in responses if code >= 0)
    n = decided.total()
    most = max(decided.values(), default=0)
    agreeing = sum(count * (count - 1) for count in decided.values())
    return {
        "n": n,
        "n_missing": responses.count(MISSING),
        "flip": len(decided) > 1,
        "majority": str(DECISIONS[max(code for code in decided if decided[code] == most)]) if n else "",
        "ssi": most / n if n else float("nan"),
        "ssi_pairwise": agreeing / (n * (n - 1)) if n > 1 else float("nan"),
    } | {f"n_{decision.value.lower()}": decided[code] for code, decision in enumerate(DECISIONS)}


@given(CUBES)
@settings(max_examples=40)
def test_per_prompt_figures_are_those_of_the_ragged_lists(cube: np.ndarray) -> None:
    tables = tables_of(study_of(cube))
    places = {"per_prompt_metrics": cube.reshape(len(cube), -1)}
    table = tables["per_prompt_temperature"]
    for t, temperature in enumerate(dict.fromkeys(table["temperature"])):
        rows = table[table["temperature"] == temperature]
        compare(rows, cube[:, t])
    compare(tables["per_prompt_metrics"], places["per_prompt_metrics"])


def compare(rows: pd.DataFrame, cells: np.ndarray) -> None:
    for (_, row), codes in zip(rows.iterrows(), cells, strict=True):
        for name, expected in ragged([int(code) for code in codes if code != NOT_SAMPLED]).items():
            assert row[name] == pytest.approx(expected, nan_ok=True) if name != "majority" else row[name] == expected, (
                name
            )


@given(CUBES, st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_every_other_figure_takes_what_was_not_sampled_for_no_response(cube: np.ndarray, seed: int) -> None:
    texts = np.random.default_rng(seed).integers(1, 4, cube.shape, dtype=np.uint64)
    texts[cube == NOT_SAMPLED] = 0
    categories = ["a" if i % 2 else "a|b" for i in range(len(cube))]
    full = np.where(cube == NOT_SAMPLED, MISSING, cube).astype(np.int8)
    found, expected = (tables_of(judged_twice(c, texts, categories)) for c in (cube, full))
    for name, table in found.items():
        if name in ("t0_determinism", "least_stable_decisions"):
            continue
        columns = [column for column in table.columns if column not in COUNTS_OF_MISSING]
        pd.testing.assert_frame_equal(table[columns], expected[name][columns], obj=name)


def judged_twice(cube: np.ndarray, texts: np.ndarray, categories: list[str]) -> DecisionArrays:
    """Two models whose responses are judged by two judges, the second of which has two repeats."""
    study = study_of(cube, cube[::-1], categories=categories)
    groups = []
    for group, seen in zip(study.groups, (texts, texts[::-1]), strict=True):
        codes = group.decisions["j"]
        other = np.where(codes == 2, 1, codes)
        judges = {"j": codes, "k": np.concatenate([codes, other], axis=-1)}
        groups.append(dataclasses.replace(group, decisions=judges, texts=seen))
    return dataclasses.replace(study, groups=tuple(groups))


def test_not_sampled_counts_in_no_share_of_the_missing() -> None:
    # Prompt 0: asked four times, once without a decision. Prompt 1: asked once. Prompt 2: never asked.
    cube = np.array([[[0, 0], [MISSING, 2]], [[1, NOT_SAMPLED], [NOT_SAMPLED] * 2], [[NOT_SAMPLED] * 2] * 2])
    study = study_of(cube, categories=["a", "a|b", "b"])
    tables = tables_of(dataclasses.replace(study, missing={("m0", "none", "j"): {"unreadable": 1}}))
    row = tables["missing"].iloc[0]
    assert (row["n_missing"], row["missing_share"]) == (1, 1 / 5)
    assert tables["per_prompt_metrics"][["n", "n_missing"]].to_numpy().tolist() == [[3, 1], [1, 0], [0, 0]]
    assert tables["per_prompt_temperature"][["n", "n_missing"]].to_numpy().tolist() == [
        *[[2, 0], [1, 0], [0, 0]],
        *[[1, 1], [0, 0], [0, 0]],
    ]
    for name in ("aggregate_by_model", "aggregate_by_judge", "binary_scoring"):
        row = tables[name].iloc[0]
        assert (row["n_prompts"], row["n_responses"], row["n_missing"]) == (2, 4, 1), name
    assert tables["aggregate_by_temperature"]["n_missing"].tolist() == [0, 1]
    assert tables["aggregate_by_configuration"][["n_responses", "n_missing"]].to_numpy().tolist() == [
        *[[2, 0], [1, 0]],
        *[[0, 1], [1, 0]],
    ]
    by_category = tables["categories"].set_index("category")
    assert by_category.loc["a", ["n_prompts", "n_responses", "n_missing"]].tolist() == [2, 4, 1]
    assert by_category.loc["b", ["n_prompts", "n_responses", "n_missing"]].tolist() == [1, 1, 0]
    # The one prompt that flips has a row for each response that was asked for, also for the missing one.
    assert tables["least_stable_decisions"]["decision"].tolist() == ["REFUSE", "REFUSE", "", "COMPLY"]


def test_the_curves_of_a_prompt_end_with_its_own_responses() -> None:
    cube = np.array([[[0, 0, 2, 2]], [[0, 2, NOT_SAMPLED, NOT_SAMPLED]]])
    curve = tables_of(study_of(cube))["sample_size"]
    pooled = curve[curve["temperature"].isna()].set_index("n_draws")
    assert pooled["n_prompts"].tolist() == [2, 2, 1, 1]
    # Of two REFUSE and two COMPLY the majority is COMPLY, the less safe: one draw in two says so, for both prompts.
    assert pooled.loc[1, "majority_agreement"] == pytest.approx(0.5)


def test_curves_stop_where_fewer_than_half_of_the_prompts_are_left() -> None:
    # Nine prompts of 4 responses, 3 to 1, and one of 8 equal ones: from 5 draws on, only that one is left.
    cube = np.full((10, 1, 8), NOT_SAMPLED, dtype=np.int8)
    cube[:9, 0, :4] = [0, 0, 0, 2]
    cube[9] = 0
    tables = tables_of(study_of(cube))
    for name in ("sample_size", "tail_risk_draws", "stability_by_draws"):
        pooled = tables[name][tables[name]["temperature"].isna()]
        assert pooled["n_draws"].tolist() == [1, 2, 3, 4], name
        assert (pooled["n_prompts"] == 10).all()
    cube[:4, 0, 4] = 0  # five prompts have five responses: half of them, which is just enough
    assert tables_of(study_of(cube))["sample_size"].query("temperature != temperature")["n_prompts"].tolist()[4:] == [5]
    cube[:9, 0, :5] = [0, 0, 2, 2, NOT_SAMPLED]  # tied: never surely the majority
    least = tables_of(study_of(cube))["sample_size_least_n"].query("temperature != temperature")
    assert least["least_n"].isna().all()
    assert (least["n_prompts"].tolist(), least["last_n"].tolist()) == ([10] * 3, [4] * 3)


def test_the_least_number_says_on_how_many_prompts_it_rests() -> None:
    cube = np.full((4, 1, 3), NOT_SAMPLED, dtype=np.int8)
    cube[:, 0, 0], cube[:2, 0, 1:] = 0, 0
    cube[0, 0] = [0, 0, 2]
    least = tables_of(study_of(cube))["sample_size_least_n"].query("temperature != temperature").set_index("target")
    # One response: (2/3 + 1 + 1 + 1) / 4 = 0.917. Two of the two long prompts: (2/3 + 1) / 2. Three: 1.
    assert least.loc[0.95, ["least_n", "n_prompts", "last_n"]].tolist() == [3, 2, 3]


def test_a_prompt_with_fewer_responses_at_temperature_0_is_judged_by_those() -> None:
    codes = np.array([[0, 0, NOT_SAMPLED], [NOT_SAMPLED, 0, 2], [0, NOT_SAMPLED, NOT_SAMPLED], [0, MISSING, 0]])
    texts = np.array([[7, 7, 0], [0, 7, 7], [7, 0, 0], [7, 7, 7]], dtype=np.uint64)
    present, identical, flipped, decided = identical_and_flipped(texts, codes.astype(np.int8))
    assert present.tolist() == [True, True, False, True], "one response can agree with nothing"
    assert identical.tolist() == [True, True, False, True]
    assert flipped.tolist() == [False, True, False, False]
    assert decided.tolist() == [True, True, False, True]
