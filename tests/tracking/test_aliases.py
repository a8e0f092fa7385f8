"""What MLflow's comparison page calls models, of whose names it shows ten characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.tracking.aliases import SHOWN, aliases


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["smollm2-135m"], ["smollm2-135m"]),
        (["mistral-7b-instruct", "qwen3-8b-instruct"], ["mistral-7b-instruct", "qwen3-8b-instruct"]),
        (["reference-steady", "reference-wavering"], ["steady", "wavering"]),
        (["llama-3.1-8b", "llama-3.1-70b", "qwen"], ["8b", "70b", "qwen"]),
        (["reference-a", "reference-a-b"], ["a", "a-b"]),
        (["aaaaaaaaaaaa", "aaaaaaaaaaab"], ["aaaaaaaa-2", "aaaaaaaa-3"]),
        (["reference-steady", "reference-wavering", "steady"], ["steady-2", "wavering", "steady"]),
    ],
)
def test_models_whose_names_begin_alike_are_called_by_what_differs(names: list[str], called: list[str]) -> None:
    assert list(aliases(names).values()) == called


@given(st.lists(st.text("ab-.1", min_size=1, max_size=14), unique=True, min_size=1, max_size=8))
def test_no_two_models_look_the_same_where_ten_characters_are_shown(names: list[str]) -> None:
    found = aliases(names)
    assert list(found) == names
    assert len({alias[:SHOWN] for alias in found.values()}) == len(names)
    assert all(found.values())
