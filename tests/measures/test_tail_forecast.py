"""Forecasts of COMPLY beyond the attempts made: by hand, by properties, and on planted populations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln
from small_studies import study_of, tables_of

from refusal_stability.measures.tail_baselines import log_log_share, pass_at_k_share, plug_in_share
from refusal_stability.measures.tail_forecast import (
    EDGES,
    FAMILIES,
    RATES,
    UNIFORM,
    RatePriors,
    TailForecast,
    chance_within,
    family_shares,
    forecast_tail,
)
from refusal_stability.measures.tail_precision import attempts_for_precision, simulated_attempts

ATTEMPTS = np.array([10, 100, 1_000, 10_000])
Population = Callable[[np.random.Generator, int], np.ndarray]


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng([*seed, 1])


def at_one_rate(rate: float, never: float) -> RatePriors:
    """All prompts have (nearly) one rate, but for a share that never complies; also the rate itself."""
    shares = np.zeros((1, len(RATES)))
    shares[0, np.abs(RATES - rate).argmin()] = 1 - never
    return RatePriors(np.array([never]), shares)


def test_the_chance_of_a_prompt_by_hand() -> None:
    priors = at_one_rate(0.5, 0.25)
    rate = RATES[np.abs(RATES - 0.5).argmin()]
    # After two failures, never complying has odds of 0.25 against 0.75 (1 - p)^2; otherwise the next complies with p.
    never = 0.25 / (0.25 + 0.75 * (1 - rate) ** 2)
    assert chance_within(priors, np.array([2]), np.array([0]), 1)[0] == pytest.approx((1 - never) * rate)
    # A prompt that complied once can comply again.
    assert chance_within(priors, np.array([2]), np.array([1]), 1)[0] == pytest.approx(rate)


def test_within_the_attempts_made_the_forecast_is_the_exact_share() -> None:
    # 20 attempts each; k = 10: no COMPLY 0, one COMPLY 1/2, two 1 - (10 * 9) / (20 * 19) = 29/38
    tried, complied = np.full(4, 20), np.array([0, 0, 1, 2])
    forecast = forecast_tail(tried, complied, np.array([10, 20]), 0.9, rng())
    assert forecast.share == pytest.approx([(1 / 2 + 29 / 38) / 4, 1 / 2])
    # First COMPLY of one among 20 in turn: 21/2; of two: 21/3; none in 20: 20
    assert forecast.mean_attempts[1] == pytest.approx((20 + 20 + 10.5 + 7) / 4)
    # The first 10 of one COMPLY among 20: sum of the chances of none in 0, 1, ... 9 draws, (20 - j) / 20
    one = sum((20 - j) / 20 for j in range(10))
    two = sum((20 - j) * (19 - j) / (20 * 19) for j in range(10))
    assert forecast.mean_attempts[0] == pytest.approx((10 + 10 + one + two) / 4)


def test_attempts_that_stopped_at_the_first_comply_are_known_in_order() -> None:
    tried, complied = np.array([3, 50, 8, 50]), np.array([1, 0, 1, 0])
    forecast = forecast_tail(tried, complied, np.array([5, 50]), 0.9, rng(), stopped=True)
    assert forecast.share == pytest.approx([1 / 4, 2 / 4])
    assert forecast.mean_attempts == pytest.approx([(3 + 5 + 5 + 5) / 4, (3 + 50 + 8 + 50) / 4])
    assert pass_at_k_share(tried, complied, 5, stopped=True) == 1 / 4
    with pytest.raises(ValueError, match="at most one"):
        forecast_tail(tried, 2 * complied, ATTEMPTS, 0.9, rng(), stopped=True)


def test_the_plain_estimators_by_hand() -> None:
    tried, complied = np.array([4, 4]), np.array([2, 0])
    assert plug_in_share(tried, complied, 2) == pytest.approx((1 - 0.25) / 2)
    assert pass_at_k_share(tried, complied, 2) == pytest.approx((1 - 1 / 6) / 2)  # of 6 pairs one has no COMPLY
    assert np.isnan(pass_at_k_share(tried, complied, 5))
    # Two attempts at each of two prompts, one COMPLY: share(1) = 1/4 and share(2) = 1/2, so the line is exact.
    exponent = np.log(np.log(2) / np.log(4)) / np.log(2)
    few = log_log_share(np.array([2, 2]), np.array([1, 0]), 8)
    assert few == pytest.approx(np.exp(-np.log(4) * 8**exponent))
    assert np.isnan(log_log_share(np.array([5]), np.array([0]), 8))


def test_nothing_is_forecast_where_no_prompt_complied_or_none_was_tried() -> None:
    for tried, complied in ((np.full(9, 50), np.zeros(9, int)), (np.zeros(3, int), np.zeros(3, int))):
        forecast = forecast_tail(tried, complied, ATTEMPTS, 0.9, rng())
        assert np.isnan([forecast.share, forecast.share_low, forecast.mean_attempts]).all()
        assert forecast.n_ever == 0
        assert np.isnan(attempts_for_precision(forecast, 9, 100, 0.1, 0.9, rng()))
    assert np.isnan(plug_in_share(np.zeros(0), np.zeros(0), 3))


def test_a_forecast_far_beyond_the_data_or_of_few_prompts_says_so() -> None:
    tried = np.full(50, 30)
    few = forecast_tail(tried, (np.arange(50) < 2).astype(int), ATTEMPTS, 0.9, rng())
    assert [line.split(";")[0] for line in few.warnings()] == [
        "the forecast for 1,000, 10,000 attempts goes more than 20 times beyond the attempts made, so it rests on the "
        "assumed shape of small rates",
        "few prompts ever complied (2): the interval may be too narrow",
    ]
    many = forecast_tail(tried, np.arange(50) % 5, np.array([100]), 0.9, rng())
    assert many.warnings() == []
    pairs = forecast_tail(np.full(50, 2), np.arange(50) % 3, np.array([2, 20]), 0.9, rng())
    assert [line.split(":")[0] for line in pairs.warnings()] == ["most prompts had only 2 attempts"]
    made = forecast_tail(np.full(50, 2), np.arange(50) % 3, np.array([1, 2]), 0.9, rng())
    assert made.warnings() == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=30), st.booleans())
def test_a_forecast_rises_with_attempts_and_stays_within_bounds(rows: list[tuple[int, int]], stopped: bool) -> None:
    tried, complied = np.array(rows).T
    complied = np.minimum(complied, np.minimum(tried, 1) if stopped else tried)
    forecast = forecast_tail(tried, complied, ATTEMPTS, 0.9, rng(), stopped)
    if not forecast.n_ever:
        return
    for values in (forecast.share, forecast.share_low, forecast.share_high):
        assert ((values >= -1e-9) & (values <= 1 + 1e-9)).all()
    assert (np.diff(forecast.share) >= -1e-9).all()
    assert (np.diff(forecast.mean_attempts) >= -1e-9).all()
    assert (forecast.share_low <= forecast.share + 1e-6).all()
    assert (forecast.mean_attempts <= ATTEMPTS + 1e-6).all()
    # Prompts that complied within the attempts made count in full beyond them
    decided = tried > 0
    if tried.max() <= 100:
        assert forecast.share[1] >= (complied > 0).sum() / decided.sum() - 1e-9
    chances = chance_within(forecast.priors, tried, complied, 10)
    assert ((chances >= 0) & (chances <= 1)).all()


def test_prompts_in_another_order_give_the_same_forecast() -> None:
    tried, complied = np.full(40, 25), np.arange(40) % 4
    first = forecast_tail(tried, complied, ATTEMPTS, 0.9, rng())
    second = forecast_tail(tried, complied[::-1], ATTEMPTS, 0.9, rng())
    assert (first.share == second.share).all()
    assert (first.share_high == second.share_high).all()


def test_more_attempts_narrow_a_forecast_until_they_suffice() -> None:
    r = rng()
    pilot = forecast_tail(np.full(150, 50), r.binomial(50, r.beta(0.3, 10, 150)), np.array([1_000]), 0.9, r)
    enough = attempts_for_precision(pilot, 150, 1_000, 0.09, 0.9, rng(), (20, 600))
    assert enough == 600
    assert attempts_for_precision(pilot, 150, 1_000, 0.5, 0.9, rng(), (20, 600)) == 20
    assert np.isnan(attempts_for_precision(pilot, 150, 1_000, 0.001, 0.9, rng(), (20, 600)))


POPULATIONS: dict[str, Population] = {
    "Beta": lambda r, n: r.beta(0.3, 3, n),
    "small rates": lambda r, n: r.beta(0.25, 30, n),
    "zeros": lambda r, n: np.where(r.random(n) < 0.4, 0, r.beta(0.5, 5, n)),
    "mixture": lambda r, n: np.where(r.random(n) < 0.3, r.beta(5, 3, n), r.beta(0.5, 100, n)),
    "log-uniform": lambda r, n: 10 ** r.uniform(-5, 0, n),
    "heavy tail": lambda r, n: 1 / (1 + np.exp(-r.normal(-6, 2.5, n))),
}
PROMPTS, STUDIES = 159, 3


def errors(name: str, n: int, stopped: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of studies of one population, at attempts beyond n: error, whether the interval covers, error of the plug-in."""
    found = []
    for study in range(STUDIES):
        r = rng(study, n, len(name))
        rates = POPULATIONS[name](r, PROMPTS)
        first = np.where(rates > 0, r.geometric(np.maximum(rates, 1e-9)), 10**9)
        later = r.binomial(np.maximum(n - first, 0), rates)
        tried = np.minimum(first, n) if stopped else np.full(PROMPTS, n)
        complied = (first <= n).astype(int) if stopped else np.where(first <= n, 1 + later, 0)
        forecast: TailForecast = forecast_tail(tried, complied, ATTEMPTS, 0.9, r, stopped)
        for i in np.flatnonzero(n < ATTEMPTS):
            true = (first <= ATTEMPTS[i]).mean()
            covered = forecast.share_low[i] <= true <= forecast.share_high[i]
            plain = plug_in_share(tried, complied, int(ATTEMPTS[i])) - true
            found.append((forecast.share[i] - true, covered, plain))
    table = np.array(found, dtype=float)
    return table[:, 0], table[:, 1], table[:, 2]


@pytest.mark.parametrize(("n", "bar"), [(60, 0.12), (600, 0.048)])
@pytest.mark.parametrize("stopped", [False, True])
def test_planted_populations_are_forecast_and_covered(n: int, bar: float, stopped: bool) -> None:
    error, covered, plain = np.hstack([errors(population, n, stopped) for population in POPULATIONS])
    assert np.abs(error).mean() < bar
    assert np.abs(error).mean() < np.abs(plain).mean() / 2
    assert covered.mean() >= 0.8


def test_the_table_has_a_row_for_each_number_of_attempts() -> None:
    codes = np.zeros((30, 2, 10), dtype=np.int8)
    codes[:6, 1, 0] = 2  # 6 of 30 prompts complied once in 20 attempts
    table = tables_of(study_of(codes))["tail_forecast"]
    assert table["n_attempts"].tolist() == ATTEMPTS.tolist()
    assert (table["n_ever_comply"] == 6).all()
    # k = 10 of the 20 made: each of the six has an even chance
    assert table["pct_comply_forecast"][0] == pytest.approx(10)
    assert table["pct_comply_plug_in"][0] == pytest.approx(100 * 6 / 30 * (1 - 0.95**10))
    assert (table["pct_comply_forecast"].diff().dropna() > 0).all()
    assert table["attempts_ratio"].tolist() == [0.5, 5, 50, 500]
    assert table["far"].tolist() == [False, False, True, True]
    never = tables_of(study_of(np.zeros((5, 2, 3), dtype=np.int8)))["tail_forecast"]
    assert never["pct_comply_forecast"].isna().all()


def test_the_posterior_of_a_uniform_rate_is_laplaces_rule_of_succession() -> None:
    uniform = RatePriors(np.zeros(1), UNIFORM[None, :])
    # n failures and a uniform rate: none in k more with chance (n + 1) / (n + k + 1)
    for n, k in ((0, 1), (4, 5), (9, 90)):
        found = chance_within(uniform, np.array([n]), np.array([0]), k)
        assert found[0] == pytest.approx(k / (n + k + 1), rel=2e-3)
    # a quarter never complies: 2 failures leave 1/4 against 3/4 * 1/3, an even chance
    some = RatePriors(np.full(1, 0.25), 0.75 * UNIFORM[None, :])
    assert chance_within(some, np.array([2]), np.array([0]), 3)[0] == pytest.approx(0.5 * (1 - 3 / 6), rel=2e-3)


def test_the_families_by_hand() -> None:
    at_most = {float(edge): i for i, edge in enumerate(EDGES.round(6))}  # log odds -> shares below it

    def below(family: str, x: float, y: float, log_odds: float) -> float:
        return float(family_shares(family, np.array([x]), np.array([y]))[0, : at_most[log_odds]].sum())

    # Beta(1, 1) is uniform: half of the rates are under 1/2. Beta(1, 3): 1 - (1 - 1/2)^3 of them.
    assert below("beta", 0.0, 0.0, 0.0) == pytest.approx(0.5)
    assert below("beta", 0.0, np.log(3), 0.0) == pytest.approx(7 / 8)
    # A standard deviation above its mean a normal has 84.13 %.
    assert below("logit_normal", -3.0, 2.0, -1.0) == pytest.approx(0.8413, abs=1e-4)


@given(st.sampled_from(sorted(FAMILIES)), st.floats(0, 1), st.floats(0, 1))
def test_every_family_is_a_distribution_at_every_point_of_its_grid(family: str, along: float, across: float) -> None:
    x, y = (
        np.array([low + at * (high - low)]) for at, (low, high) in zip((along, across), FAMILIES[family], strict=True)
    )
    shares = family_shares(family, x, y)
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1)


def test_the_attempts_for_a_precision_by_hand() -> None:
    # Half of the prompts comply at once and half never. So 20 attempts know the share in 10 of them, and its interval
    # is that of a share of 1/2 over prompts: 1.645 sqrt(0.25 / 100) = 0.082.
    r = rng()
    pilot = forecast_tail(np.full(100, 60), np.repeat([0, 60], 50), np.array([10]), 0.9, r)
    certain = np.zeros((1, len(RATES)))
    certain[0, -1] = 0.5
    pilot = replace(pilot, priors=RatePriors(np.array([0.5]), certain))
    assert attempts_for_precision(pilot, 100, 10, 0.095, 0.9, rng(), (20, 50)) == 20
    assert np.isnan(attempts_for_precision(pilot, 100, 10, 0.07, 0.9, rng(), (20,)))
    # Four times the prompts halve it.
    assert attempts_for_precision(pilot, 400, 10, 0.048, 0.9, rng(), (20,)) == 20


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.02, 0.4), st.floats(0.02, 0.4), st.booleans())
def test_a_wider_interval_never_needs_more_attempts(seed: int, one: float, other: float, stopped: bool) -> None:
    r = rng(seed)
    tried, complied = simulated_attempts(r.beta(0.4, 4, 25), 30, stopped, r)
    pilot = forecast_tail(tried, complied, np.array([50]), 0.9, r, stopped)
    sizes = (60,)
    found = [
        attempts_for_precision(pilot, 25, 50, width, 0.9, rng(seed), sizes, stopped) for width in sorted((one, other))
    ]
    narrow, wide = (np.inf if np.isnan(size) else size for size in found)
    assert wide <= narrow
    assert {narrow, wide} <= {*sizes, np.inf}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1e-6, 0.01, 0.5, 1.0]), min_size=1, max_size=20), st.integers(1, 50))
def test_simulated_attempts_stop_at_the_first_comply_or_not_at_all(rates: list[float], size: int) -> None:
    given_rates = np.array(rates)
    tried, complied = simulated_attempts(given_rates, size, False, rng())
    assert (tried == size).all()
    assert (complied <= size).all()
    tried, complied = simulated_attempts(given_rates, size, True, rng())
    assert ((tried >= 1) & (tried <= size)).all()
    assert (tried[complied == 0] == size).all()
    assert set(complied.tolist()) <= {0, 1}
    assert (complied[given_rates == 0] == 0).all()
    assert (tried[given_rates == 1] == 1).all()


def test_attempts_that_stop_tell_less_so_more_of_them_are_needed() -> None:
    r = rng()
    pilot = forecast_tail(np.full(150, 50), r.binomial(50, r.beta(0.3, 10, 150)), np.array([1_000]), 0.9, r)
    sizes = (50, 200)
    all_made, to_the_first = (
        attempts_for_precision(pilot, 150, 1_000, 0.15, 0.9, rng(), sizes, stopped) for stopped in (False, True)
    )
    assert all_made <= to_the_first


def test_the_named_attempts_give_the_interval_asked_for() -> None:
    """Studies of the pilot's population with the named number of attempts; the answer is not shown the population."""
    r, half_width = rng(), 0.1
    pilot = forecast_tail(np.full(159, 50), r.binomial(50, r.beta(0.3, 8, 159)), np.array([500]), 0.9, r)
    size = attempts_for_precision(pilot, 159, 500, half_width, 0.9, rng(), (100, 300))
    widths, covered = [], []
    for study in range(20):
        r = rng(study, 4242)
        rates = r.beta(0.3, 8, 159)
        tried, complied = simulated_attempts(rates, int(size), False, r)
        planned = forecast_tail(tried, complied, np.array([500]), 0.9, r)
        widths.append((planned.share_high[0] - planned.share_low[0]) / 2)
        true = 1 - np.exp(betaln(0.3, 8 + 500) - betaln(0.3, 8))
        covered.append(planned.share_low[0] <= true <= planned.share_high[0])
    assert np.mean(widths) < 1.15 * half_width
    assert np.mean(covered) >= 0.8
