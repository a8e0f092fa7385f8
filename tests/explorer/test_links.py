"""A view and its link: every view comes back from its own link, and a foreign link harms nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.explorer.links import (
    FLIPS,
    LOWEST,
    Known,
    View,
    address,
    cell_key,
    from_query,
    series_key,
    to_query,
)
from refusal_stability.explorer.marks import LABEL_MARKS, OUTCOMES
from refusal_stability.explorer.views import ORDERS
from refusal_stability.records import Condition

CONDITIONS = [
    Condition(model, intervention, temperature, seed)
    for model in ("a-1", "b_2")
    for intervention in ("none", "calm")
    for temperature in (0.0, 0.7, 0.70001)
    for seed in (1, 2)
]
CATEGORIES = ["plain", "with, comma", "100 % & more=", "a/b", "ü ☃"]
KNOWN = Known(
    {
        "models": ["a-1", "b_2"],
        "interventions": ["none", "calm"],
        "categories": CATEGORIES,
        "majorities": ["REFUSE", "none"],
        "ever": ["REFUSE", "COMPLY"],
        "harms": ["harmful", "not said"],
        "marks": list(LABEL_MARKS),
        "outcomes": list(OUTCOMES),
        "flip": FLIPS,
        "order": list(ORDERS),
        "prompt": ["p1", "p,2"],
        "judge": ["rules", "people"],
        "compared": [series_key(m, i) for m in ("a-1", "b_2") for i in ("none", "calm")],
    },
    CONDITIONS,
)


def some(options: Any) -> Any:
    return st.lists(st.sampled_from(list(options)), unique=True).map(tuple)


SSI = st.integers(33, 100).map(lambda n: n / 100)
views = st.builds(
    View,
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    models=some(KNOWN.options["models"]),
    interventions=some(KNOWN.options["interventions"]),
    categories=some(CATEGORIES),
    majorities=some(KNOWN.options["majorities"]),
    ever=some(KNOWN.options["ever"]),
    harms=some(KNOWN.options["harms"]),
    marks=some(KNOWN.options["marks"]),
    outcomes=some(KNOWN.options["outcomes"]),
    lowest=SSI,
    highest=SSI,
    flip=st.sampled_from(FLIPS),
    order=st.sampled_from(list(ORDERS)),
    prompt=st.sampled_from(["", "p1", "p,2"]),
    judge=st.sampled_from(["", "people"]),
    compared=some(KNOWN.options["compared"]),
    left=st.none() | st.sampled_from(CONDITIONS),
    right=st.none() | st.sampled_from(CONDITIONS),
).filter(lambda view: view.lowest <= view.highest)


@given(views)
def test_every_view_comes_back_from_its_own_link(view: View) -> None:
    query = dict(parse_qsl(urlencode(to_query(view))))
    assert from_query(query, KNOWN) == (view, [])


def test_the_start_has_an_empty_link() -> None:
    assert to_query(View()) == {}
    assert from_query({}, KNOWN) == (View(), [])


def test_cells_with_nearly_equal_temperatures_have_names_of_their_own() -> None:
    assert len({cell_key(c) for c in CONDITIONS}) == len(CONDITIONS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("models", "gone"),
        ("prompt", "<script>"),
        ("judge", "x"),
        ("order", "random"),
        ("flip", "maybe"),
        ("left", "a-1/none/0.5/1"),
        ("right", "a-1"),
        ("lowest", "low"),
        ("lowest", "nan"),
        ("highest", "7"),
        ("compared", "a-1/gone"),
    ],
)
def test_what_this_study_does_not_have_is_left_out_and_told(name: str, value: str) -> None:
    view, notes = from_query({name: value}, KNOWN)
    assert view == View()
    assert len(notes) == 1
    assert repr(value) in notes[0]


def test_what_is_known_in_a_list_stays_when_the_rest_goes() -> None:
    view, notes = from_query({"models": "gone,b_2", "unheard-of": "1"}, KNOWN)
    assert view == View(models=("b_2",))
    assert len(notes) == 1


def test_an_empty_range_is_opened_downwards() -> None:
    view, notes = from_query({"lowest": "0.90", "highest": "0.50"}, KNOWN)
    assert (view.lowest, view.highest) == (LOWEST, 0.5)
    assert len(notes) == 1


@given(views)
def test_the_whole_address_of_a_view_holds_its_query(view: View) -> None:
    page, _, query = address("http://127.0.0.1:8501/?text=old", view).partition("?")
    assert page == "http://127.0.0.1:8501/"
    assert dict(parse_qsl(query, keep_blank_values=True)) == to_query(view)
