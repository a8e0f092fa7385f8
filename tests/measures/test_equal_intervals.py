"""One quantity has one interval, whichever table shows it and whatever stands beside it there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_studies import SETTINGS, study_of, tables_of

from refusal_stability.measures.estimates import OfEachColumn, Scope, estimates
from refusal_stability.measures.tables.interventions import change_row
from refusal_stability.measures.tables.pairs import DIFFERENCES, SHOWN, difference_of, paired_row, side_by_side

rng = np.random.default_rng(3)
FIRST, SECOND = (rng.multinomial(6, shares, size=40) for shares in ([0.8, 0.1, 0.1], [0.6, 0.1, 0.3]))
BENIGN = np.arange(40) < 15
ENDS = ("low", "high")


def compared(first: np.ndarray, second: np.ndarray) -> dict[str, dict[str, float]]:
    rows = side_by_side(first, second, BENIGN, 0.8, SETTINGS.resampling)
    return {difference_of(row["figure"]): row for row in rows}


def test_models_compared_interventions_and_the_command_print_the_same_intervals() -> None:
    sides = compared(FIRST, SECOND)
    treated = change_row(FIRST, SECOND, BENIGN, SETTINGS, "any name")
    paired = paired_row(FIRST, SECOND, SETTINGS.resampling)
    shown_twice = {name for name in sides for row in (treated, paired) if f"{name}_low" in row}
    assert len(shown_twice) == 6
    for name in shown_twice:
        for row in (treated, paired):
            if f"{name}_low" in row:
                for end in ENDS:
                    assert row[f"{name}_{end}"] == pytest.approx(sides[name][end], rel=1e-9, abs=1e-12), (name, end)
    # intervals that say something
    assert sides["mean_difference"]["low"] < sides["mean_difference"]["difference"] < sides["mean_difference"]["high"]


def test_the_other_direction_has_the_mirrored_interval() -> None:
    there, back = compared(FIRST, SECOND), compared(SECOND, FIRST)
    assert len(there) == len(SHOWN)
    for name in there:
        assert there[name]["low"] == pytest.approx(-back[name]["high"], rel=1e-9, abs=1e-12)
        assert there[name]["high"] == pytest.approx(-back[name]["low"], rel=1e-9, abs=1e-12)


def test_what_no_prompt_showed_is_possible_in_every_table() -> None:
    steady = np.tile([6, 0, 0], (40, 1))
    sides, paired = compared(steady, steady), paired_row(steady, steady, SETTINGS.resampling)
    for name in [name for name in DIFFERENCES if name in sides]:
        assert [paired[f"{name}_{end}"] for end in ENDS] == [sides[name][end] for end in ENDS]
        assert sides[name]["low"] == pytest.approx(-sides[name]["high"])
    # 1 - .025^(1/40) of the prompts may be unlike these, and flip
    assert sides["pct_flipped_difference"]["high"] == pytest.approx(100 * (1 - 0.025 ** (1 / 40)))


VALUES = arrays(np.float64, (7, 2), elements=st.sampled_from([np.nan, -1.0, -0.5, 0.0, 0.2, 1.0]))


@settings(max_examples=30)
@given(VALUES, st.permutations(range(7)))
def test_neither_order_nor_company_moves_an_interval(values: np.ndarray, order: list[int]) -> None:
    weights = np.arange(1, 8)
    both = estimates(["a", "b"], OfEachColumn(values), Scope(SETTINGS.resampling, weights))
    alone = estimates(["a"], OfEachColumn(values[order, :1]), Scope(SETTINGS.resampling, weights[order]))
    long = np.repeat(values[:, :1], weights, axis=0)
    by_unit = estimates(["a"], OfEachColumn(long), Scope(SETTINGS.resampling, np.ones(len(long), dtype=np.int64)))
    for other in (alone, by_unit):
        assert {name: both[name] for name in other} == pytest.approx(other, rel=1e-9, abs=1e-12, nan_ok=True)


def test_a_columns_own_units_are_resampled_by_hand() -> None:
    # Two of four units are 1 and one is left out: a resample of three has 0, 1, 2 or 3 ones.
    values = np.array([[0.0], [1.0], [np.nan]])
    drawn = OfEachColumn(values).drawn(Scope(SETTINGS.resampling, np.array([1, 2, 1])))
    assert drawn.own == pytest.approx([2 / 3])
    assert set(np.round(3 * drawn.draws[:, 0]).astype(int)) == {0, 1, 2, 3}
    assert drawn.draws.mean() == pytest.approx(2 / 3, abs=0.05)


def test_a_studys_only_temperature_is_the_study() -> None:
    cube = rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1], size=(30, 1, 6))
    tables = tables_of(study_of(cube))
    pooled, single = (tables[name] for name in ("aggregate_by_model", "aggregate_by_temperature"))
    bounds = [column for column in pooled if column.endswith(("_low", "_high")) and column in single]
    assert "mean_ssi_low" in bounds
    pd.testing.assert_frame_equal(pooled[bounds], single[bounds])


def test_a_temperature_that_every_seed_decides_alike_has_the_intervals_of_its_configurations() -> None:
    cube = rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1], size=(30, 2, 4))
    cube[:, 0] = cube[:, 0, :1]  # as greedy decoding does
    harms = np.array(["benign"] * 8 + ["harmful"] * 22, dtype=object)
    tables = tables_of(replace(study_of(cube), harms=harms))
    by_temperature, runs = (tables[f"aggregate_by_{name}"] for name in ("temperature", "configuration"))
    (cold,) = by_temperature.loc[by_temperature["temperature"] == 0].to_dict("records")
    shown = {f"{word}_rate": f"mean_{word}_rate" for word in ("refuse", "partial", "comply")}
    shown |= {name: name for name in ("safety_refuse_rate", "safety_comply_rate", "over_refusal")}
    rows = runs.loc[runs["temperature"] == 0].to_dict("records")
    assert len(rows) == 4
    for row in rows:
        for rate, mean in shown.items():
            assert row[f"{rate}_low"] < row[f"{rate}_high"]
            for end in ("", "_low", "_high"):
                assert row[rate + end] == cold[mean + end], (rate, end)
    warm = runs.loc[runs["temperature"] != 0, ["refuse_rate_low", "refuse_rate", "refuse_rate_high"]].drop_duplicates()
    assert warm["refuse_rate"].nunique() > 1
    assert (np.diff(warm, axis=1) > 0).all()
