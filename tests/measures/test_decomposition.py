"""Variance components, by hand, in simulation, and where levels or decisions are missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refusal_stability.measures.decomposition import Components, components, prompt_totals

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
    np.testing.assert_allclose(result.mean_square[0], [2.25, 0.25, 0.25])
    np.testing.assert_allclose(result.degrees_of_freedom[0], [1, 2, 4])
    parts = named(result)
    assert parts["prompt"] == pytest.approx(0.5)
    assert parts["temperature"] == pytest.approx(0, abs=1e-12)
    assert parts["seed"] == pytest.approx(0.25)
    # all of it at temperature 1: within (1,1) there is 1, over 4 degrees of freedom
    assert (parts["numerical"], parts["sampling"]) == (pytest.approx(0), pytest.approx(0.25))
    assert parts["total"] == pytest.approx(0.75)
    np.testing.assert_allclose(result.share[0], np.array([0.5, 0, 0.25, 0, 0.25, 0.75]) / 0.75, atol=1e-12)


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


@pytest.mark.parametrize("pattern", ["temperature 0 alone", "all temperatures", "some texts twice"])
def test_components_are_unbiased_where_equal_texts_share_the_judges_errors(pattern: str) -> None:
    # The model's decision on a text is fixed; a judge misreads 15 % of (text, repeat), copied to every equal text.
    def study(rng: np.random.Generator, n_prompts: int) -> tuple[np.ndarray, np.ndarray]:
        shape = (n_prompts, 2, 4)
        if pattern == "temperature 0 alone":
            texts = np.broadcast_to(np.arange(1, 5), shape).copy()
            texts[:, 0] = 9
        elif pattern == "all temperatures":
            texts = np.full(shape, 9)
        else:
            texts = rng.integers(1, 5, shape)
        # what the model decided in a text: its prompt's decision, except in texts 1 and 2 of wavering prompts
        own = rng.integers(0, 3, (n_prompts, 1))
        by_text = np.where((np.arange(10) < 3) & (rng.random((n_prompts, 1)) < 0.5), 2, own)
        repeats = np.repeat(by_text[:, :, None], 3, axis=2)
        read = np.where(rng.random(repeats.shape) < 0.15, rng.integers(0, 3, repeats.shape), repeats)
        codes = np.take_along_axis(read, texts.reshape(n_prompts, -1)[:, :, None], axis=1).reshape(*shape, 3)
        return codes, texts.astype(np.uint64)

    rng = np.random.default_rng(3)
    runs = []
    for _ in range(150):
        codes, texts = study(rng, 60)
        runs.append(decompose(codes, TEMPERATURES, texts).variance[0])
    error = np.std(runs, axis=0) / np.sqrt(len(runs))
    mean = dict(zip(decompose(codes, TEMPERATURES, texts).names, np.mean(runs, axis=0), strict=True))
    bound = dict(zip(mean, 5 * error + 1e-9, strict=True))
    # A repeat is misread to another decision than the text's with chance 0.15 x 2/3 = 0.1: Gini 1 - 0.9^2 - 2 x 0.05^2.
    assert abs(mean["judge"] - 0.185) < bound["judge"]
    if pattern != "some texts twice":
        assert abs(mean["numerical"]) < bound["numerical"]
    if pattern == "all temperatures":
        assert abs(mean["seed"]) < bound["seed"]
        assert abs(mean["temperature"]) < bound["temperature"]


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
