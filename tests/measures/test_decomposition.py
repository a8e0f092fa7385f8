"""Variance components, by hand, in simulation, and where levels or decisions are missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refusal_stability.measures.decomposition import Components, components, prompt_totals
from refusal_stability.measures.stability import ssi_pairwise, tally

TEMPERATURES = (0.0, 1.0)


def decompose(
    codes: np.ndarray, temperatures: tuple[float, ...] = TEMPERATURES, copied: np.ndarray | None = None
) -> Components:
    table, weights, layout = prompt_totals(codes.astype(np.int8), temperatures, copied)
    return components((weights @ table)[None, :], layout)


def named(result: Components) -> dict[str, float]:
    return dict(zip(result.names, result.variance[0].tolist(), strict=True))


def test_components_by_hand() -> None:
    # Two prompts, two temperatures, two seeds, one judge. Prompt 1: R R | R C; prompt 2: C C | C C.
    codes = np.array([[[0, 0], [0, 2]], [[2, 2], [2, 2]]])[..., None]
    # One-hot sums (R, C): cells (2,0) (1,1) | (0,2) (0,2); prompts (3,1) (0,4); all (3,5) of 8.
    # T: all (9 + 25) / 8 = 4.25; prompts (9 + 1) / 4 + 16 / 4 = 6.5; cells 2 + 1 + 2 + 2 = 7; decisions 8.
    # Mean squares: prompt 2.25 / 1, temperature 0.5 / 2 = 0.25, seed 1 / 4 = 0.25.
    # Components: seed 0.25; temperature (0.25 - 0.25) / 2 = 0; prompt (2.25 - 0.25) / 4 = 0.5.
    result = decompose(codes)
    undefined = [np.nan] * 3  # numerical, sampling, total
    # at temperature 0 no seed differs; at 1 the squares within are 1 of R C and 0 of C C, over 2 degrees of freedom
    np.testing.assert_allclose(result.mean_square[0], [2.25, 0.25, 0.25, *undefined, 0, 0.5])
    np.testing.assert_allclose(result.degrees_of_freedom[0], [1, 2, 4, *undefined, 2, 2])
    parts = named(result)
    assert parts["prompt"] == pytest.approx(0.5)
    assert parts["temperature"] == pytest.approx(0, abs=1e-12)
    assert parts["seed"] == pytest.approx(0.25)
    # all of it at temperature 1: within (1,1) there is 1, over 4 degrees of freedom
    assert (parts["numerical"], parts["sampling"]) == (pytest.approx(0), pytest.approx(0.25))
    assert parts["total"] == pytest.approx(0.75)
    # the seeds' variance is that of the two temperatures in equal parts; `sampling` is a half of what is at T = 1
    assert (parts["seed at T=0"], parts["seed at T=1"]) == (pytest.approx(0), pytest.approx(0.5))
    np.testing.assert_allclose(result.share[0], np.array([0.5, 0, 0.25, 0, 0.25, 0.75, 0, 0.5]) / 0.75, atol=1e-12)


def test_numerical_is_temperature_zeros_part_and_the_seeds_of_each_temperature_stand_beside_it() -> None:
    # Four temperatures whose seeds vary alike, R R R C: within each 1 - (9 + 1) / 16 = 3/8, times 4/3 is 1/2.
    parts = named(decompose(np.array([[[0, 0, 0, 2]] * 4] * 3)[..., None], (0.0, 0.3, 0.7, 1.0)))
    assert (parts["seed"], parts["numerical"], parts["sampling"]) == pytest.approx((1 / 2, 1 / 8, 3 / 8))
    assert [parts[f"seed at T={t}"] for t in ("0", "0.3", "0.7", "1")] == pytest.approx([1 / 2] * 4)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_with_one_repeat_a_temperatures_seeds_vary_as_two_of_its_samples_disagree(missing: float) -> None:
    rng = np.random.default_rng(6)
    codes = np.where(rng.random((50, 3, 4)) < missing, -1, simulate(rng, 50, 0.0)[..., 0]).astype(np.int8)
    parts = named(decompose(codes[..., None], (0.0, 0.5, 1.0)))
    for t, name in enumerate(("seed at T=0", "seed at T=0.5", "seed at T=1")):
        counts = tally(codes[:, t])
        n = counts.sum(axis=1)
        # weighted by n - 1, the degrees of freedom; where nothing is missing that is 1 - mean_ssi_pairwise
        apart = (1 - ssi_pairwise(counts))[n > 1]
        assert parts[name] == pytest.approx(np.average(apart, weights=n[n > 1] - 1))


def test_a_negative_component_is_shown_as_it_is() -> None:
    # Both temperatures are R C within each of two equal prompts: means never differ, seeds always do.
    # seed: within each cell 1, of 4 cells: 4 / 4 = 1; temperature: (0 - 1) / 2 = -0.5
    parts = named(decompose(np.array([[[0, 2], [0, 2]]] * 2)[..., None]))
    assert parts["seed"] == pytest.approx(1)
    assert parts["temperature"] == pytest.approx(-0.5)


def simulate(rng: np.random.Generator, n_prompts: int, missing: float) -> np.ndarray:
    """Decisions with every component: shares by prompt, moved by temperature, drawn by seed, misread by judges."""
    base = rng.dirichlet([2.0, 1.0, 1.0], size=n_prompts)
    moved = np.array([[rng.dirichlet(8 * shares + 1e-3) for _ in range(3)] for shares in base])
    drawn = (rng.random((n_prompts, 3, 4, 1)) > np.cumsum(moved, axis=-1)[:, :, None, :]).sum(axis=-1)
    misread = rng.random((n_prompts, 3, 4, 2)) < 0.1
    codes = np.where(misread, rng.integers(0, 3, misread.shape), drawn[..., None])
    return np.where(rng.random(codes.shape) < missing, -1, codes)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_components_are_unbiased_with_and_without_missing_decisions(missing: float) -> None:
    rng = np.random.default_rng(0)
    runs = [decompose(simulate(rng, 40, missing), (0.3, 0.7, 1.0)).variance[0] for _ in range(200)]
    truth = decompose(simulate(np.random.default_rng(1), 20_000, 0.0), (0.3, 0.7, 1.0))
    error = np.std(runs, axis=0) / np.sqrt(len(runs))
    # five standard errors, and a little for the truth, itself measured on 20,000 prompts
    assert (np.abs(np.mean(runs, axis=0) - truth.variance[0]) < 5 * error + 2e-3).all()


def test_the_judges_own_part_by_hand() -> None:
    # One prompt, one temperature, two responses, each judged twice: R R and R C.
    # Within responses: 0 + 1 over 2 = 0.5 for the judge; between: (3^2 + 1) / 4 = 2.5 to 2 + 1 = 3: 0.5 over 1.
    # seed: (0.5 - 0.5) / 2 = 0. A single prompt leaves its own component undefined.
    result = decompose(np.array([[[[0, 0], [0, 2]]]]), (1.0,))
    parts = named(result)
    assert result.names[:3] == ("prompt", "seed", "judge")
    assert parts["judge"] == pytest.approx(0.5)
    assert parts["seed"] == pytest.approx(0, abs=1e-12)
    assert np.isnan(parts["prompt"])


def test_copied_judge_errors_by_hand() -> None:
    # One temperature, two seeds with one text, judged twice: R then C, copied to both responses. Two such prompts,
    # the second R R. Counts (R, C): prompt 1: cells (1,1) (1,1); prompt 2: cells (2,0) (2,0).
    # judge: decisions 8 - cells (1 + 1 + 2 + 2) = 2 over 8 - 4 = 4 degrees: 0.5.
    # seed: cells 6 - prompts ((4 + 4) / 4 + 16 / 4 = 6) = 0. An error enters a cell's sum once (4 cells: 4) and a
    # prompt's as sum m^2 / n = 2 repeats x 2^2 / 4 = 2 (2 prompts: 4), so (0 - 0.5 (4 - 4)) / (8 - 4) = 0; taken for
    # errors of their own they would be 0.5 (4 - 2) = 1 and the seeds -0.25.
    codes = np.array([[[[0, 2], [0, 2]]], [[[0, 0], [0, 0]]]])
    texts = np.full((2, 1, 2), 7, dtype=np.uint64)
    parts = named(decompose(codes, (0.0,), texts))
    assert parts["judge"] == pytest.approx(0.5)
    assert (parts["seed"], parts["numerical"]) == (pytest.approx(0), pytest.approx(0))
    assert named(decompose(codes, (0.0,)))["seed"] == pytest.approx(-0.25)
    # prompt: prompts 6 - all (6^2 + 2^2) / 8 = 5, so 1; errors: 4 - sum of m^2 over all 16 / 8 = 2, so 1 - 0.5 x 2 = 0
    assert parts["prompt"] == pytest.approx(0)


def judged_texts(pattern: str, rng: np.random.Generator, n_prompts: int, copied: bool) -> tuple[np.ndarray, np.ndarray]:
    """Decisions (P, 2, 4, 3) and texts of responses whose judge misreads some texts more often than others.

    A text's misreadings are one for each repeat, copied to all responses of the text, or one for each response.
    """
    shape = (n_prompts, 2, 4)
    texts = rng.integers(1, 5, shape)
    if pattern == "equal at temperature 0":
        texts[:, 0] = 9
    elif pattern == "equal everywhere":
        texts[...] = 9
    elif pattern == "all different":
        texts[...] = np.arange(1, 9).reshape(2, 4)
    own = rng.integers(0, 3, (n_prompts, 1))
    meant = np.where((np.arange(10) < 3) & (rng.random((n_prompts, 1)) < 0.5), 2, own)
    # text 9, which temperature 0 repeats, is a plain refusal that is hardly misread; texts 1 and 2 are
    misreading = np.where(np.arange(10) == 9, 0.03, np.where(np.arange(10) < 3, 0.45, 0.15))
    of_text = meant[:, :, None], misreading[None, :, None], (n_prompts, 10, 3)
    at = texts.reshape(n_prompts, -1)
    if not copied:
        of_text = np.take_along_axis(meant, at, axis=1)[:, :, None], misreading[at][:, :, None], (n_prompts, 8, 3)
    right, chance, size = of_text
    read = np.where(rng.random(size) < chance, rng.integers(0, 3, size), right)
    codes = np.take_along_axis(read, at[:, :, None], axis=1) if copied else read
    return codes.reshape(*shape, 3), texts.astype(np.uint64)


@pytest.mark.parametrize(
    "pattern", ["equal at temperature 0", "equal everywhere", "some texts several times", "all different"]
)
def test_copied_judgements_leave_the_components_that_judging_each_response_would_give(pattern: str) -> None:
    rng = np.random.default_rng(3)
    copied, fresh = [], []
    for _ in range(200):
        codes, texts = judged_texts(pattern, rng, 60, copied=True)
        copied.append(decompose(codes, TEMPERATURES, texts).variance[0])
        codes, _ = judged_texts(pattern, rng, 60, copied=False)
        fresh.append(decompose(codes, TEMPERATURES).variance[0])
    names = decompose(codes, TEMPERATURES).names
    assert {"prompt", "temperature", "seed", "judge", "numerical", "sampling"} <= set(names)
    error = np.sqrt((np.var(copied, axis=0) + np.var(fresh, axis=0)) / len(copied))
    off = (np.mean(copied, axis=0) - np.mean(fresh, axis=0)) / np.maximum(error, 1e-12)
    assert (np.abs(off) < 4.5).all(), dict(zip(names, off.round(1).tolist(), strict=True))


def test_a_model_that_never_wavers_has_no_variance_but_the_prompts_and_the_judges() -> None:
    runs = []
    rng = np.random.default_rng(4)
    for _ in range(200):
        codes, texts = judged_texts("equal everywhere", rng, 60, copied=True)
        runs.append(decompose(codes, TEMPERATURES, texts))
    mean = dict(zip(runs[0].names, np.mean([r.variance[0] for r in runs], axis=0), strict=True))
    error = dict(zip(runs[0].names, np.std([r.variance[0] for r in runs], axis=0) / np.sqrt(200), strict=True))
    # Text 9 is misread to each other decision with chance 0.03 / 3: 1 - 0.98^2 - 2 x 0.01^2 = 0.0394.
    assert mean["judge"] == pytest.approx(0.0394, abs=4.5 * error["judge"])
    # Its three meanings are equally likely: shares 0.98, 0.01, 0.01 turned, each 0.97 from 1/3: 2/3 x 0.97^2.
    assert mean["prompt"] == pytest.approx(2 / 3 * 0.97**2, abs=4.5 * error["prompt"])
    for name in ("temperature", "seed", "numerical", "sampling"):
        assert mean[name] == pytest.approx(0, abs=4.5 * error[name] + 1e-9), name


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((6, 2, 3, 2), ("prompt", "temperature", "seed", "judge")),
        ((6, 2, 3, 1), ("prompt", "temperature", "seed")),
        ((6, 2, 1, 1), ("prompt", "temperature")),
        ((6, 1, 3, 1), ("prompt", "seed")),
        ((6, 2, 1, 2), ("prompt", "temperature", "judge")),
        ((6, 1, 1, 2), ("prompt", "judge")),
        ((6, 1, 1, 1), ("prompt",)),
    ],
)
def test_a_level_of_size_one_is_no_level_and_the_parts_add_up(shape: tuple[int, ...], levels: tuple[str, ...]) -> None:
    codes = np.random.default_rng(2).integers(-1, 3, shape)
    result = decompose(codes, TEMPERATURES[: shape[1]])
    assert tuple(n for n in result.names if n in ("prompt", "temperature", "seed", "judge")) == levels
    parts = named(result)
    assert sum(parts[level] for level in levels) == pytest.approx(parts["total"])
    if "seed" in levels:
        assert parts["numerical"] + parts["sampling"] == pytest.approx(parts["seed"])


def test_without_temperature_levels_the_total_is_the_unbiased_gini_variance() -> None:
    # 3 REFUSE and 2 COMPLY, one a prompt: 5/4 of 1 - (3/5)^2 - (2/5)^2 = 0.48 is 0.6
    codes = np.array([0, 0, 0, 2, 2]).reshape(5, 1, 1, 1)
    assert named(decompose(codes, (1.0,)))["total"] == pytest.approx(0.6)


def test_decisions_that_never_differ_have_no_variance_to_share() -> None:
    result = decompose(np.zeros((4, 2, 3, 1)))
    assert (result.variance[0] == 0).all()
    assert np.isnan(result.share[0]).all()


@settings(max_examples=30)
@given(
    hnp.arrays(
        np.int8, st.tuples(st.integers(2, 6), st.just(2), st.just(3), st.integers(1, 2)), elements=st.integers(-1, 2)
    ),
    st.permutations([0, 1, 2]),
    st.randoms(),
)
def test_names_of_decisions_and_order_of_prompts_and_seeds_do_not_matter(
    codes: np.ndarray, order: list[int], random
) -> None:  # type: ignore[no-untyped-def]
    if (codes < 0).all():
        return
    shuffled = np.where(codes < 0, -1, np.array(order)[codes])
    prompts, seeds = list(range(len(codes))), [0, 1, 2]
    random.shuffle(prompts)
    random.shuffle(seeds)
    shuffled = shuffled[prompts][:, :, seeds]
    np.testing.assert_allclose(decompose(shuffled).variance, decompose(codes).variance, atol=1e-9)
