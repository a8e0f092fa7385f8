"""A gate's decisions: worked by hand, over random populations, and as often right as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from refusal_stability.measures.equal_numbers import figures_at, thinned
from refusal_stability.measures.gate import (
    FAIL,
    NOT_ENOUGH,
    PASS,
    Change,
    RuleOutcome,
    bound,
    check_rule,
    gate_decision,
    least,
    noise_within,
    parse_rule,
)
from refusal_stability.measures.stability import flips, ssi
from refusal_stability.records import StudyError

FIGURES = {"pct_flipped": 100.0, "mean_ssi": 2 / 3}


def flipped(up: int, down: int, same: int) -> Change:
    return Change(np.array([100.0] * up + [-100.0] * down + [0.0] * same), 100.0, math.nan, 5.0)


def decided(text: str, change: Change, alpha: float = 0.05, n_tests: int = 1) -> RuleOutcome:
    return check_rule(parse_rule(text, FIGURES), change, alpha, n_tests)


@pytest.mark.parametrize(
    ("text", "signs", "margin"),
    [
        ("pct_flipped > +5", (1,), 5.0),
        ("mean_ssi<-0.02", (-1,), 0.02),
        ("|mean_ssi| > .02", (1, -1), 0.02),
        (" pct_flipped > 5 % ", (1,), 5.0),
        ("mean_ssi < -2%", (-1,), 0.02),  # a percent sign means percentage points, whatever the figure's own unit
        ("pct_flipped > 0", (1,), 0.0),
    ],
)
def test_a_rule_says_figure_direction_and_margin(text: str, signs: tuple[int, ...], margin: float) -> None:
    rule = parse_rule(text, FIGURES)
    assert (rule.signs, rule.margin, rule.text) == (signs, margin, text.strip())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pct_flipped", "is no rule"),
        ("|pct_flipped > 5", "is no rule"),
        ("pct_flipped >= 5", "is no rule"),
        ("mood > 1", "names no figure of the comparison; one of pct_flipped, mean_ssi"),
        ("pct_flipped > -5", "would fail where nothing changes"),
        ("mean_ssi < 0.02", "would fail where nothing changes"),
        ("|mean_ssi| > 0", "would fail where nothing changes"),
        ("|mean_ssi| < 0.02", "would fail where nothing changes"),
        ("mean_ssi < -2", "could never fail: mean_ssi is between 0 and 1 and changes by 0.667 at most"),
        ("pct_flipped > +100", "could never fail: pct_flipped is in percentage points and changes by 100 at most"),
        ("pct_flipped > 5, mean_ssi < -0.02", "is no rule"),
        ("pct_flipped > 5 and mean_ssi < -0.02", "give --fail-if once for each rule"),
        ("", "is no rule"),
    ],
)
def test_what_is_no_rule_is_refused(text: str, problem: str) -> None:
    with pytest.raises(StudyError, match=r"--fail-if: .*" + problem.replace("|", r"\|")):
        parse_rule(text, FIGURES)


def test_the_bound_by_hand() -> None:
    # 4 prompts, one changed by 1: z^2 / 2 = 1.3528 pseudo-prompts at +1 make (1 + 1.3528) / 5.3528 = 0.43954;
    # their variance is 0.43954 (1 - 0.43954) = 0.24635; t(3) = 2.35336; 0.43954 + 2.35336 sqrt(0.24635 / 5.3528)
    assert bound(np.array([1.0, 0, 0, 0]), 1.0, 0.05, 1) == pytest.approx(0.94440, abs=2e-4)
    assert bound(np.array([-1.0, 0, 0, 0]), 1.0, 0.05, -1) == pytest.approx(-0.94440, abs=2e-4)


def test_prompts_without_any_change_leave_about_three_in_p_possible() -> None:
    exact = 1 - 0.05 ** (1 / 300)
    assert exact < bound(np.zeros(300), 1.0, 0.05, 1) < 1.2 * exact


@pytest.mark.parametrize(
    ("text", "change", "decision"),
    [
        ("pct_flipped > +5", flipped(60, 5, 135), FAIL),  # +27.5 points
        ("pct_flipped > +5", flipped(4, 4, 192), PASS),
        ("pct_flipped > +5", flipped(12, 2, 186), NOT_ENOUGH),  # +5 points exactly
        ("pct_flipped > +5", flipped(0, 0, 20), NOT_ENOUGH),  # no change seen, but 20 prompts cannot exclude 5 %
        ("pct_flipped > +5", flipped(5, 60, 135), PASS),  # better is no failure
        ("|pct_flipped| > 5", flipped(5, 60, 135), FAIL),  # but it is no equivalence either
        ("pct_flipped > 0", flipped(1, 0, 0), NOT_ENOUGH),
        ("pct_flipped > 0", flipped(0, 0, 0), NOT_ENOUGH),
    ],
)
def test_decisions_worked_by_hand(text: str, change: Change, decision: str) -> None:
    assert decided(text, change).decision == decision


def test_more_tests_that_could_fail_ask_for_more_evidence() -> None:
    change = flipped(30, 8, 162)  # +11 points; the bound at 5 % is +6.8
    assert decided("pct_flipped > +5", change).decision == FAIL
    assert decided("pct_flipped > +5", change, n_tests=20).decision == NOT_ENOUGH


def test_one_failure_fails_and_a_pass_needs_every_rule() -> None:
    passed, failed, unsure = (
        decided("pct_flipped > +5", change) for change in (flipped(4, 4, 192), flipped(60, 5, 135), flipped(12, 2, 186))
    )
    assert gate_decision([passed, unsure, failed]) == FAIL
    assert gate_decision([passed, unsure]) == NOT_ENOUGH
    assert gate_decision([passed, passed]) == PASS


def test_the_prompts_that_would_do_do() -> None:
    change = flipped(1, 1, 58)
    needed = decided("pct_flipped > +5", change).prompts_needed
    assert needed is not None
    times = math.ceil(needed / 60)
    assert decided("pct_flipped > +5", flipped(times, times, 58 * times)).decision == PASS
    assert decided("pct_flipped > +5", flipped(12, 2, 186)).prompts_needed is None  # at the margin none would


@given(first=st.integers(1, 500), target=st.integers(1, 10**6))
def test_the_least_number_is_found_to_one_percent(first: int, target: int) -> None:
    found = least(lambda n: n >= target, first, 10**6)
    assert found is not None
    assert max(first, target) <= found <= max(first, target) * 1.011 + 1


@given(
    up=st.integers(0, 40), down=st.integers(0, 40), same=st.integers(0, 300), margin=st.floats(0, 20, allow_nan=False)
)
def test_mirrored_sides_get_mirrored_bounds_and_no_rule_fails_and_passes(
    up: int, down: int, same: int, margin: float
) -> None:
    change, mirrored = flipped(up, down, same), flipped(down, up, same)
    for alpha in (0.01, 0.05):
        assert bound(change.differences, 100, alpha, 1) == pytest.approx(-bound(mirrored.differences, 100, alpha, -1))
    low, high = (bound(change.differences, 100.0, 0.05, sign) for sign in (-1, 1))
    assert -100 <= low <= high <= 100
    rise, fall = decided(f"pct_flipped > {margin:.6f}", change), decided(f"pct_flipped < -{margin:.6f}", mirrored)
    assert rise.decision == fall.decision


def drawn(rng: np.random.Generator, n_prompts: int, *priors: list[float]) -> np.ndarray:
    """Per-prompt differences (flips in points, ssi) of two sides drawn 5 times from the given prompts."""
    shares = [rng.dirichlet(priors[0], size=n_prompts)] * 2
    if len(priors) > 1:
        shares[1] = rng.dirichlet(priors[1], size=n_prompts)
    a, b = (rng.multinomial(5, side) for side in shares)
    return np.stack([100.0 * (flips(b).astype(float) - flips(a)), ssi(b) - ssi(a)])


@pytest.mark.parametrize("prior", [[5.0, 0.2, 0.3], [1.0, 1.0, 1.0], [30.0, 0.1, 0.1]], ids=["steady", "any", "rare"])
@pytest.mark.parametrize("n_prompts", [20, 84])
def test_equal_populations_fail_at_most_as_often_as_alpha_says(n_prompts: int, prior: list[float]) -> None:
    rng, wrong, studies = np.random.default_rng(0), 0, 400
    for _ in range(studies):
        flip, stability = drawn(rng, n_prompts, prior)
        found = [
            decided("pct_flipped > 0", Change(flip, 100.0, math.nan, 5), n_tests=2),
            decided("mean_ssi < 0", Change(stability, 2 / 3, math.nan, 5), n_tests=2),
        ]
        wrong += gate_decision(found) == FAIL
    assert wrong <= stats.binom.ppf(0.999, studies, 0.05)


def test_a_true_change_is_found_with_the_power_of_its_size() -> None:
    rng, found, studies = np.random.default_rng(1), {FAIL: 0, PASS: 0, NOT_ENOUGH: 0}, 200
    for _ in range(studies):
        flip = drawn(rng, 300, [8.0, 0.2, 0.3], [2.0, 0.4, 0.6])[0]
        found[decided("pct_flipped > +5", Change(flip, 100.0, math.nan, 5)).decision] += 1
    assert found[FAIL] > 0.95 * studies
    assert not found[PASS]


def test_figures_at_fewer_samples_by_hand() -> None:
    # 3 refusals and 1 compliance; of the 6 pairs 3 hold the compliance
    counts, rng = np.array([[3, 0, 1]]), np.random.default_rng(0)
    names = ["flip", "ssi", "refuse_rate", "unstable"]
    assert figures_at(counts, np.array([2]), names, 0.8, rng)[0] == pytest.approx([0.5, 0.75, 0.75, 0.5])
    assert figures_at(counts, np.array([4]), names, 0.8, rng)[0] == pytest.approx([1, 0.75, 0.75, 1])


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3).filter(sum), min_size=1, max_size=8), st.data())
def test_fewer_samples_keep_the_rates_and_never_add_flips(
    rows: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    counts, rng = np.array(rows), np.random.default_rng(0)
    n = np.array([data.draw(st.integers(1, int(total))) for total in counts.sum(axis=1)])
    rates, flip = figures_at(counts, n, ["comply_rate", "flip"], 0.8, rng).T
    assert rates == pytest.approx(counts[:, 2] / counts.sum(axis=1))
    assert (flip <= (counts > 0).sum(axis=1).clip(1, 2) - 1 + 1e-12).all()
    drawn_counts = thinned(counts, n, rng)
    assert (drawn_counts.sum(axis=1) == n).all()
    assert (drawn_counts <= counts).all()


def test_many_samples_are_brought_down_by_draws() -> None:
    counts, rng = np.array([[900, 50, 50], [10, 0, 990]]), np.random.default_rng(0)
    found = figures_at(counts, np.array([100, 100]), ["refuse_rate"], 0.8, rng)[:, 0]
    assert found == pytest.approx([0.9, 0.01], abs=0.02)


def test_the_noise_within_prompts_is_what_was_planted() -> None:
    rng = np.random.default_rng(2)
    p, n = rng.uniform(0.2, 0.8, size=4000), 10
    a, b = (np.stack([x := rng.binomial(n, p), n - x], axis=1) for _ in range(2))
    halves = np.array(
        [(thinned(b, np.full(4000, 5), rng) - thinned(a, np.full(4000, 5), rng))[:, 0] / 5.0 for _ in "123"]
    )
    sizes = np.full(4000, 10.0), np.full(4000, 5.0)
    planted = float(np.mean(2 * p * (1 - p) / n))
    assert noise_within((b - a)[:, 0] / n, halves, *sizes) == pytest.approx(planted, rel=0.05)
