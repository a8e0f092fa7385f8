"""Metric tables of a study sampled by rounds: estimated, about what was asked, or empty. Never a naive figure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.measures.adaptive.estimate_intervals import (
    Estimate,
    Uncertain,
    in_order,
    p_of_no_change,
    summing_to_1,
)
from refusal_stability.measures.adaptive.estimates import PromptEstimates, mean_over
from refusal_stability.measures.adaptive.figures import figures_of
from refusal_stability.measures.adaptive.rounds import Sampled, designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import STABLE, StoppingRule
from refusal_stability.measures.coverage import PRIOR, SHARPNESS, simulate
from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables import build_tables
from refusal_stability.measures.tables.estimated import AS_SAMPLED
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.tables.metrics import ESTIMATED_TABLES, METRIC_TABLES

TEMPERATURES = tuple(SHARPNESS)
N = 200
SETTINGS = Settings(0.8, (0.7, 0.8, 0.9), Resampling(200, 0.95, lambda *names: np.random.default_rng(len(names))))
Tables = Mapping[str, pd.DataFrame]


def study_of(codes: Mapping[str, np.ndarray]) -> DecisionArrays:
    groups = tuple(Group("m", name, {"rules": part[..., None]}, "rules") for name, part in codes.items())
    ids = np.array([f"p{i:03d}" for i in range(N)], dtype=object)
    categories = np.array(["a" if i % 3 else "b" for i in range(N)], dtype=object)
    harms = np.array(["benign" if i % 4 == 0 else "harmful" for i in range(N)], dtype=object)
    return DecisionArrays(ids, categories, TEMPERATURES, (1, 2, 3, 4, 5), groups, {}, harms)


@pytest.fixture(scope="module")
def both() -> tuple[Tables, Tables, dict[tuple[str, str], Sampled]]:
    """The tables of a full study of two interventions, and those of the same study sampled by rounds."""
    full = {name: simulate(PRIOR, N, 5, np.random.default_rng(i)) for i, name in enumerate(("none", "cautious"))}
    full["cautious"][::3] = 0
    sampled = {}
    for name, codes in full.items():
        rng = np.random.default_rng(7)
        rule = StoppingRule()
        design = designed(TEMPERATURES, 5, N, rule, "turns", rng)
        sampled["m", name] = sample_by_rounds(lambda _, codes=codes: codes, design, rule)  # type: ignore[misc]
    rounds = study_of({name: one.codes for (_, name), one in sampled.items()})
    whole = dict(build_tables(study_of(full), SETTINGS))
    return whole, dict(build_tables(rounds, SETTINGS, sampled)), sampled


def test_every_metric_table_is_estimated_or_about_what_was_asked_or_empty(both: tuple[Tables, Tables, object]) -> None:
    _, rounds, _ = both
    assert set(rounds) == set(METRIC_TABLES)
    assert not set(AS_SAMPLED) & set(ESTIMATED_TABLES)
    for name in set(METRIC_TABLES) - set(AS_SAMPLED) - set(ESTIMATED_TABLES):
        assert rounds[name].empty, name


def test_estimates_lie_near_the_full_study_and_their_intervals_hold_it(both: tuple[Tables, Tables, object]) -> None:
    whole, rounds, _ = both
    held = []
    for name in sorted(set(ESTIMATED_TABLES) - {"per_prompt_metrics", "per_prompt_temperature"}):
        contract = METRIC_TABLES[name][1]
        key = [column for column in contract.key if column in rounds[name]]
        assert len(rounds[name]) == len(whole[name]), name
        for column in [c.removesuffix("_low") for c in contract.columns if c.endswith("_low")]:
            for one, other in zip(whole[name].to_dict("records"), rounds[name].to_dict("records"), strict=True):
                assert [one[k] for k in key] == pytest.approx([other[k] for k in key], nan_ok=True)
                if math.isnan(other[column]):
                    continue
                assert other["estimated"]
                assert other[f"{column}_low"] <= other[column] <= other[f"{column}_high"]
                held.append(other[f"{column}_low"] <= one[column] <= other[f"{column}_high"])
    assert len(held) > 200
    # the full study's value is surer than a value of the source, so nearly all hold it
    assert np.mean(held) > 0.93


def test_a_number_without_an_estimate_is_empty_and_flagged_rows_say_so(both: tuple[Tables, Tables, object]) -> None:
    _, rounds, _ = both
    model = rounds["aggregate_by_model"]
    assert model["estimated"].all()
    assert model[["std_ssi", "spearman_ssi_comply_rate", "prior_refuse"]].isna().all(axis=None)
    assert rounds["temperature_pairs"]["p_holm"].isna().all()
    changes = rounds["interventions"]
    assert (changes["mean_difference_p_holm"] >= changes["mean_difference_p"]).all()
    # The test and the interval agree, at the temperatures and over them.
    excluded = (changes["mean_difference_low"] > 0) | (changes["mean_difference_high"] < 0)
    assert (excluded == (changes["mean_difference_p"] < 0.05)).all()
    assert rounds["aggregate_by_configuration"]["refuse_rate"].isna().all()
    assert not rounds["aggregate_by_configuration"]["estimated"].any()
    # The counts of what is there stay.
    assert rounds["aggregate_by_configuration"]["n_responses"].min() < N


def test_a_prompt_sampled_in_full_is_as_it_is_and_a_stopped_one_is_predicted(
    both: tuple[Tables, Tables, dict[tuple[str, str], Sampled]],
) -> None:
    whole, rounds, sampled = both
    full, seen = (tables["per_prompt_metrics"].query("intervention == 'none'") for tables in (whole, rounds))
    exact = sampled["m", "none"].in_full
    assert 20 <= exact.sum() < N
    for column in ("ssi", "ssi_pairwise", "refuse_rate", "unstable", "cluster"):
        assert (full[column].to_numpy()[exact] == seen[column].to_numpy()[exact]).all()
    assert (seen["estimated"].to_numpy() == ~exact).all()
    # Predicted, not naive: of at most ten equal answers out of twenty, the rest is not sure to be equal.
    few = seen[(seen["n"] <= 10) & ~seen["flip"] & seen["estimated"]]
    assert len(few) > 10
    assert few["ssi"].max() < 1
    assert abs(seen["ssi"].mean() - full["ssi"].mean()) < 0.02


def test_the_tables_of_rounds_add_up(both: tuple[Tables, Tables, dict[tuple[str, str], Sampled]]) -> None:
    _, rounds, sampled = both
    for row in rounds["adaptive"].to_dict("records"):
        one = sampled["m", row["intervention"]]
        assert (row["n_samples"], row["n_grid"]) == (one.spent.sum(), N * 20)
        assert row["pct_saved"] == pytest.approx(100 - 100 * row["n_samples"] / row["n_grid"])
        assert row["n_called_stable"] + row["n_called_unstable"] + row["n_undecided"] == N
        assert row["alpha"] == 0.05
    prompts = rounds["adaptive_prompts"]
    assert prompts.groupby("intervention")["n_spent"].sum().to_dict() == {
        name: one.spent.sum() for (_, name), one in sampled.items()
    }
    assert rounds["adaptive_stops"].groupby("intervention")["n_stopped"].sum().tolist() == [N, N]
    estimates = rounds["adaptive_estimates"]
    flipped = estimates[(estimates["estimated_figure"] == "pct_flipped") & (estimates["intervention"] == "none")].iloc[
        0
    ]
    # Stable prompts stop early, before they can flip.
    assert flipped["as_sampled"] < flipped["estimate"]


def test_without_rounds_tables_are_what_they_were(both: tuple[Tables, Tables, object]) -> None:
    whole, _, _ = both
    for name in ESTIMATED_TABLES:
        assert not whole[name]["estimated"].any()
    assert all(whole[name].empty for name in METRIC_TABLES if name.startswith("adaptive"))


def test_changes_are_tested_by_hand() -> None:
    # t(39) = 0.02 / 0.0358 is exceeded either way in 58 % of studies
    assert p_of_no_change(Uncertain(0.02, 1 / 39 / 40, 1 / 39 / 40, 39.0, 40)) == pytest.approx(0.5797, abs=1e-4)
    assert p_of_no_change(Uncertain(0.0, 0.0, 0.0, 3.0, 4)) == 1


def of_prompts(
    group: list[int], known: list[bool], value: list[float], base: list[float], error: float
) -> PromptEstimates:
    """One figure of some prompts, of which only what its mean needs is given."""
    n, figure = len(group), figures_of((1.0,))[0]
    column = np.array(value)[:, None]
    wide = np.full((n, 1), error)
    return PromptEstimates(
        [figure], 0.8, np.array(group), np.array(known), column, np.array(base)[:, None], column, wide, wide,
        np.full((n, 1), 11.0), column, column,
    )  # fmt: skip


def test_an_audited_prompt_counts_for_itself_and_for_those_it_corrects_by_hand() -> None:
    found = of_prompts([0, 0, 0, 0], [True, True, False, False], [0.9, 0.5, 0.6, 0.8], [0.7, 0.7, 0.6, 0.8], 0.04)
    mean = mean_over([(1.0, found)], 0, np.ones(4, dtype=bool))
    # each audited prompt has weight 1/4 for itself, and 2/4/2 for the two others
    prompts, audit = np.var([0.7, 0.7, 0.6, 0.8], ddof=1) / 4, 2 * 0.5**2 * 0.04
    assert (mean.mean, mean.of_prompts, mean.of_predictions) == pytest.approx((0.7, prompts, audit))
    assert mean.df == pytest.approx((prompts + audit) ** 2 / (prompts**2 / 3 + audit**2 / 11))
    # of the two others alone, the audited ones' errors still count
    others = mean_over([(1.0, found)], 0, ~found.known)
    assert others.variance == pytest.approx(np.var([0.6, 0.8], ddof=1) / 2 + 2 * 0.5**2 * 0.04)
    # a difference of two groups: predictions err independently
    both = mean_over([(1.0, found), (-1.0, found)], 0, np.ones(4, dtype=bool))
    assert (both.mean, both.variance) == pytest.approx((0.0, 2 * audit))


ENDS = st.lists(st.tuples(*[st.floats(0, 100)] * 3).map(sorted), min_size=1, max_size=6)


@given(ENDS)
def test_estimates_in_order_rise_keep_their_ends_and_their_sum(ends: list[list[float]]) -> None:
    before = [Estimate(value, low, high) for low, value, high in ends]
    after = in_order(before)
    for one in after:
        assert one.low <= one.value + 1e-9
        assert one.value <= one.high + 1e-9
    for end in ("value", "low", "high"):
        was, now = ([getattr(one, end) for one in part] for part in (before, after))
        assert now == sorted(now) or np.diff(now).min() > -1e-9
        assert sum(now) == pytest.approx(sum(was), abs=1e-6)
        if was == sorted(was):
            assert now == pytest.approx(was, abs=1e-9)


def test_estimates_out_of_order_meet_at_their_mean_by_hand() -> None:
    found = in_order([Estimate(3, 1, 5), Estimate(1, 0, 3), Estimate(6, 5, 7)])
    assert [one.ends for one in found] == [(2, 0.5, 4), (2, 0.5, 4), (6, 5, 7)]
    rates = summing_to_1([Estimate(0.9, 0.8, 0.95), Estimate(0.0, 0.0, 0.1), Estimate(0.3, 0.2, 0.4)])
    assert [one.value for one in rates] == pytest.approx([0.75, 0.0, 0.25])
    assert rates[0].ends == pytest.approx((0.75, 0.75, 0.95))


def test_estimated_figures_fit_together(both: tuple[Tables, Tables, object]) -> None:
    _, rounds, _ = both
    model = rounds["aggregate_by_model"].set_index("intervention")
    for name, rows in rounds["threshold_sensitivity"].groupby("intervention"):
        for end in ("", "_low", "_high"):
            shares = rows.sort_values("threshold")[f"pct_unstable{end}"]
            assert shares.is_monotonic_increasing
            assert shares.iloc[-1] <= model.loc[name, f"pct_flipped{end}"]
        at = rows.set_index("threshold")["pct_unstable"]
        assert at[0.8] == pytest.approx(model.loc[name, "pct_unstable"])
    within = rounds["aggregate_by_temperature"]
    assert (within["pct_unstable"] <= within["pct_flipped"] + 1e-9).all()
    assert (within["pct_flipped"] <= within["intervention"].map(model["pct_flipped"]) + 1e-9).all()
    for table in (within, rounds["categories"], rounds["aggregate_by_harm"]):
        assert table[[f"mean_{word}_rate" for word in ("refuse", "partial", "comply")]].sum(axis=1).to_numpy() == (
            pytest.approx(np.ones(len(table)))
        )
        assert (table["pct_flipped"] <= 100).all()
    assert (model[["n_wavering", "n_steady_refusal", "n_steady_help"]].sum(axis=1) == N).all()
    assert (model["n_wavering"] == (model["pct_unstable"] * N / 100).round()).all()


def test_a_prompt_has_one_chance_of_being_unstable(both: tuple[Tables, Tables, object]) -> None:
    _, rounds, _ = both
    chances = rounds["per_prompt_metrics"][["intervention", "prompt_id", "p_unstable", "unstable"]]
    found = rounds["adaptive_prompts"].merge(chances)
    assert len(found) == 2 * N
    assert (found["p_unstable"] == found["p_verdict_unstable"]).all()
    assert (found["unstable"] == (found["p_unstable"] >= 0.5)).all()


def test_the_audits_verdicts_are_counted_against_its_full_grids(
    both: tuple[Tables, Tables, dict[tuple[str, str], Sampled]],
) -> None:
    whole, rounds, sampled = both
    truth = whole["per_prompt_metrics"]
    for (_, name), one in sampled.items():
        unstable = truth.loc[truth["intervention"] == name, "unstable"].to_numpy()[one.design.audited]
        rows = rounds["adaptive_audit"].query("intervention == @name").set_index("full_grid")
        assert rows["n_in_audit"].to_dict() == {"stable": (~unstable).sum(), "unstable": unstable.sum()}
        missed = (one.verdict[one.design.audited] == STABLE) & unstable
        assert rows.loc["unstable", "n_called_stable"] == missed.sum()
        called = rows[["n_called_stable", "n_called_unstable", "n_undecided"]].sum(axis=1)
        assert (called == rows["n_in_audit"]).all()
        share = 100 * missed.sum() / unstable.sum()
        assert rows.loc["unstable", "wrong_from"] <= share <= rows.loc["unstable", "wrong_to"]
