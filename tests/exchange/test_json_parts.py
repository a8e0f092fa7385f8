"""Large JSON files are read part by part, whatever stands where a chunk ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refusal_stability.exchange import json_parts as module
from refusal_stability.exchange.json_parts import json_parts
from refusal_stability.exchange.logged import LogError

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def parts(content: bytes) -> list[tuple[tuple[str, ...], Any]]:
    Path("some.json").write_bytes(content)
    return list(json_parts(Path("some.json"), ("results", "results")))


@given(
    st.lists(ANYTHING, max_size=4),
    ANYTHING,
    st.sampled_from([None, 2]),
    st.integers(1, 9),
    st.sampled_from(["", "\ufeff"]),
)
@example([], 0.0, None, 1, "")
@example([1e300, -1e-07], 1.5e22, None, 2, "")
def test_every_part_comes_back_for_any_size_of_chunk(
    items: list[Any], other: Any, indent: int | None, chunk: int, mark: str
) -> None:
    value = {"evalId": other, "results": {"version": 3, "results": items, "stats": other}, "config": other}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        found = parts((mark + json.dumps(value, indent=indent, ensure_ascii=False)).encode("utf-8", "surrogatepass"))
    assert [part for place, part in found if place == ("results", "results")] == items
    others = {place: part for place, part in found if place != ("results", "results")}
    assert others == {
        ("evalId",): other,
        ("results", "version"): 3,
        ("results", "stats"): other,
        ("config",): other,
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1, 2]",
        b'{"results": {"results": [1, 2',
        b'{"results": {"results": [1 2]}}',
        b'{"a" 1}',
        b"\xff\xfe{",
        b"nul",
    ],
)
def test_what_is_torn_is_named(content: bytes) -> None:
    with pytest.raises(LogError, match=r"^some\.json: not readable as JSON \(.*\); copy it again$"):
        parts(content)


def test_nesting_without_end_and_a_value_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LogError, match="not readable as JSON"):
        parts(b'{"config": ' + b"[" * 100_000)
    monkeypatch.setattr(module, "LARGEST", 1000)
    monkeypatch.setattr(module, "CHUNK", 100)
    with pytest.raises(LogError, match=r"some\.json: holds a value of over 0 MB, or is torn there"):
        parts(b'{"config": "' + b"x" * 10_000 + b'"}')
