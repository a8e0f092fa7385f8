"""Whether different seeds give identical text far more often than chance."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_stability.engines.seeds import _at_least, seed_use
from refusal_stability.records import Completion, Message, Request, Sampling


def study(texts: dict[tuple[int, float, int], str]) -> tuple[list[Request], list[Completion]]:
    """Requests and completions of {(prompt, temperature, seed): text}."""
    requests = [
        Request((Message("user", f"prompt {p}"),), Sampling(t, s, stream=1000 * p + 10 * s + int(10 * t)))
        for p, t, s in texts
    ]
    return requests, [Completion(text, "stop") for text in texts.values()]


def test_a_server_that_ignores_seeds_is_found_out_and_named() -> None:
    # 10 prompts, each the same text for all three seeds at T = 1: P(X >= 10 | 10, 1/2) = 1 / 1024 < 0.001.
    texts = {(p, t, s): f"answer {p} {t}" for p in range(10) for t in (0.0, 0.5, 1.0) for s in range(3)}
    use = seed_use(*study(texts))
    assert (use.temperature, use.groups, use.same, use.ignored) == (1.0, 10, 10, True)
    warning = use.warning("some-model")
    assert warning is not None
    assert "10 of 10 prompts at temperature 1" in warning


def test_nine_prompts_are_too_few_to_tell() -> None:
    # P(X >= 9 | 9, 1/2) = 1 / 512 > 0.001.
    texts = {(p, 1.0, s): "same" for p in range(9) for s in range(3)}
    assert not seed_use(*study(texts)).ignored


def test_short_refusals_that_often_coincide_are_no_evidence() -> None:
    # 12 of 20 prompts always answer alike: P(X >= 12 | 20, 1/2) = 0.2517 > 0.001.
    texts = {(p, 1.0, s): "I can't." if p < 12 else f"{p} {s}" for p in range(20) for s in range(5)}
    use = seed_use(*study(texts))
    assert (use.groups, use.same, use.ignored) == (20, 12, False)
    assert use.warning("some-model") is None


def test_only_the_highest_temperature_is_judged() -> None:
    texts = {(p, t, s): "same" if t < 1 else f"{p} {s}" for p in range(30) for t in (0.0, 0.3, 1.0) for s in range(5)}
    use = seed_use(*study(texts))
    assert (use.temperature, use.same, use.ignored) == (1.0, 0, False)


def test_missing_completions_and_single_answers_count_nowhere() -> None:
    requests, completions = study({(p, 1.0, s): "same" for p in range(30) for s in range(2)})
    missing = [Completion("", "", missing_reason="HTTP 500") if i % 2 else c for i, c in enumerate(completions)]
    assert seed_use(requests, missing).groups == 0


def test_a_greedy_study_has_nothing_to_tell() -> None:
    assert seed_use(*study({(p, 0.0, s): "same" for p in range(30) for s in range(5)})).temperature == 0.0


def test_the_tail_of_the_binomial_by_hand() -> None:
    # Binomial(4, 1/2): 1, 4, 6, 4, 1 sixteenths.
    assert [_at_least(k, 4) for k in range(6)] == pytest.approx([1, 15 / 16, 11 / 16, 5 / 16, 1 / 16, 0], abs=1e-15)


def test_the_tail_of_a_million_prompts_is_there_at_once() -> None:
    # Two standard deviations over the mean; the normal tail is 0.02275.
    assert _at_least(501_000, 1_000_000) == pytest.approx(0.0228, abs=1e-3)
    assert _at_least(600_000, 1_000_000) == 0
    assert _at_least(400_000, 1_000_000) == pytest.approx(1)


@settings(deadline=None)  # the first example imports scipy
@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_tail_agrees_with_scipy(case: tuple[int, int]) -> None:
    from scipy.stats import binom

    successes, trials = case
    assert _at_least(successes, trials) == pytest.approx(binom.sf(successes - 1, trials, 0.5), abs=1e-12)


@given(st.dictionaries(st.tuples(st.integers(0, 12), st.just(1.0), st.integers(0, 4)), st.sampled_from("ab")))
def test_counts_never_exceed_the_prompts_and_texts_that_differ_everywhere_are_never_suspicious(
    texts: dict[tuple[int, float, int], str],
) -> None:
    use = seed_use(*study(texts))
    assert 0 <= use.same <= use.groups <= len({p for p, _, _ in texts})
    apart = {key: f"{key}" for key in texts}
    assert not seed_use(*study(apart)).ignored
