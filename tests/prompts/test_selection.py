"""Merging, filtering, shuffling, balancing and cutting, and the order in which they happen."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import categories_of, prompt_id
from refusal_stability.prompts.load import load_prompts
from refusal_stability.prompts.selection import balanced, in_categories, merge_repeats, shuffled
from refusal_stability.prompts.sources.beavertails import CATEGORIES
from refusal_stability.records import Prompt, StudyError


def prompt(text: str, category: str = "a") -> Prompt:
    return Prompt(prompt_id(text), text, category, "test")


PROMPTS = st.lists(
    st.builds(
        prompt,
        st.text("xyz", min_size=1, max_size=3),
        st.lists(st.sampled_from("abc"), min_size=1, unique=True).map(lambda names: "|".join(sorted(names))),
    ),
    max_size=30,
)


def test_repeats_are_merged_where_they_first_stood_with_all_their_categories() -> None:
    merged = merge_repeats([prompt("x", "b"), prompt("y", "uncategorised"), prompt("x", "a|b"), prompt("y", "c")])
    assert merged == [prompt("x", "a|b"), prompt("y", "c")]


@given(PROMPTS)
def test_merging_keeps_every_text_once_and_loses_no_category(prompts: list[Prompt]) -> None:
    merged = merge_repeats(prompts)
    assert [p.text for p in merged] == list(dict.fromkeys(p.text for p in prompts))
    for one in merged:
        assert set(categories_of(one)) == {c for p in prompts if p.text == one.text for c in categories_of(p)}
    assert merge_repeats(merged) == merged


def test_a_prompt_stays_when_any_of_its_categories_is_wanted() -> None:
    prompts = [prompt("x", "a|b"), prompt("y", "b"), prompt("z", "c")]
    assert in_categories(prompts, ["a", "c"]) == [prompts[0], prompts[2]]


def test_spaces_around_a_wanted_category_do_not_count_and_a_bar_names_two() -> None:
    prompts = [prompt("x", "a|b"), prompt("y", "b"), prompt("z", "c")]
    assert in_categories(prompts, [" a "]) == [prompts[0]]
    assert in_categories(prompts, ["a | c"]) == [prompts[0], prompts[2]]


def test_an_unknown_category_lists_those_that_there_are() -> None:
    with pytest.raises(StudyError, match=r"prompts.categories: 'd' is not among .* there are a; b; c"):
        in_categories([prompt("x", "a|b"), prompt("y", "c")], ["a", "d"])


@given(PROMPTS, st.integers(0, 2**32))
def test_shuffling_is_a_permutation_that_depends_on_texts_and_seed_alone(prompts: list[Prompt], seed: int) -> None:
    distinct = merge_repeats(prompts)
    once = shuffled(distinct, seed)
    assert sorted(once, key=lambda p: p.text) == sorted(distinct, key=lambda p: p.text)
    assert shuffled(distinct[::-1], seed) == once
    assert shuffled(distinct[1:], seed) == [p for p in once if p not in distinct[:1]]


def test_another_seed_gives_another_order() -> None:
    prompts = [prompt(str(n)) for n in range(50)]
    orders = [tuple(p.text for p in shuffled(prompts, seed)) for seed in range(5)]
    assert len({*orders, tuple(str(n) for n in range(50))}) == 6


def test_balancing_takes_the_first_of_each_category() -> None:
    prompts = [
        prompt("1", "a"),
        prompt("2", "a"),
        prompt("3", "a|b"),
        prompt("4", "b"),
        prompt("5", "b"),
        prompt("6", "b"),
    ]
    # 3 would be the third of a, so it is left to neither category, and b takes 4 and 5.
    assert [p.text for p in balanced(prompts, 2)] == ["1", "2", "4", "5"]


@given(PROMPTS, st.integers(1, 5))
def test_balancing_passes_no_category_limit_and_leaves_nothing_out_without_need(
    prompts: list[Prompt], most: int
) -> None:
    chosen = balanced(prompts, most)
    counts = Counter(c for p in chosen for c in categories_of(p))
    assert all(n <= most for n in counts.values())
    for p in prompts:
        assert p in chosen or any(counts[c] == most for c in categories_of(p))


def test_options_apply_in_the_order_filter_shuffle_balance_limit() -> None:
    wanted = ["self_harm", "animal_abuse", "harmless"]
    everything = load_prompts(PromptParams())
    by_hand = balanced(shuffled(in_categories(everything, wanted), 7), 2)[:5]
    params = PromptParams(categories=wanted, shuffle_seed=7, per_category=2, limit=5)
    assert load_prompts(params) == by_hand
    assert len(by_hand) == 5


def test_a_balanced_built_in_study_has_as_many_of_each_category() -> None:
    counts = Counter(p.category for p in load_prompts(PromptParams(per_category=2, shuffle_seed=1)))
    assert counts == dict.fromkeys((*CATEGORIES, "harmless"), 2)
