"""Texts of others in messages: seen, on one line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.plain_text import visible_line


def test_what_is_not_seen_is_spelt_out() -> None:
    assert visible_line("a\x1b[31mb\nc\u202ed\u200b é 漢") == "a\\x1b[31mb c\\u202ed\\u200b é 漢"


@given(st.text())
def test_a_line_is_printable_and_text_that_is_already_so_is_kept(text: str) -> None:
    line = visible_line(text)
    assert visible_line(line) == line
    assert "\x1b" not in line
    assert len(line.splitlines()) <= 1
