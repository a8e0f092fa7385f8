"""Forecasts of COMPLY beyond the attempts made: by hand, by properties, and on planted populations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_studies import study_of, tables_of

from refusal_stability.measures.tail_baselines import log_log_share, pass_at_k_share, plug_in_share
from refusal_stability.measures.tail_forecast import (
    RATES,
    RatePriors,
    TailForecast,
    attempts_for_precision,
    chance_within,
    forecast_tail,
)

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
