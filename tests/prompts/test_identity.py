"""Ids are content hashes of the exact text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.prompts.identity import prompt_id

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def test_the_id_is_the_start_of_the_sha_256_of_the_text() -> None:
    # `printf abc | sha256sum` gives ba7816bf 8f01cfea 414140de ...
    assert prompt_id("abc") == "ba7816bf8f01cfea"
    assert prompt_id("") == "e3b0c44298fc1c14"


def test_texts_that_only_look_alike_are_different_prompts() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert len({prompt_id(t) for t in (composed, decomposed, composed + " ", composed + "\n")}) == 4


@given(TEXTS, TEXTS)
def test_equal_ids_mean_equal_texts(one: str, other: str) -> None:
    assert (prompt_id(one) == prompt_id(other)) == (one == other)
