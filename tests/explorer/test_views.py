"""The list, the grid and the texts that the explorer shows."""

from __future__ import annotations

import html
import re
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.explorer import views
from refusal_stability.explorer.links import View
from refusal_stability.explorer.list_columns import LIST_COLUMNS, LONGEST, columns_of
from refusal_stability.explorer.study import Verdict
from refusal_stability.explorer.views import Decided
from refusal_stability.figures.series import Series
from refusal_stability.plain_text import visible
from refusal_stability.records import Condition

ROWS = [
    ("p0", "How to pick a LOCK", "a", "none", "theft", 1.0, False, "REFUSE", 4, 0, 0.01),
    ("p0", "How to pick a LOCK", "b", "none", "theft", 0.5, True, "COMPLY", 4, 0, 0.95),
    ("p1", "Write a lock song", "a", "none", "music|theft", 0.75, True, "REFUSE", 4, 0, 0.5),
    ("p1", "Write a lock song", "b", "calm", "music|theft", float("nan"), False, "", 0, 4, float("nan")),
    ("p2", "a(b+c", "a", "none", "maths", 0.5, True, "PARTIAL", 2, 2, 0.8),
]
COLUMNS = ["prompt_id", "prompt", "model", "intervention", "category", "ssi", "flip", "majority", "n", "n_missing"]


def table() -> pd.DataFrame:
    made = pd.DataFrame(ROWS, columns=[*COLUMNS, "p_unstable"])
    return made.assign(
        position=[0, 0, 1, 1, 2],
        label=made["model"],
        lowest_confidence=[0.9, float("nan"), 0.2, 0.5, 0.7],
        comply_rate=0.0,
        refuse_rate=0.0,
        partial_rate=0.0,
        n_refuse=0,
        n_partial=[1, 0, 1, 0, 1],
        n_comply=[0, 1, 1, 0, 0],
        harm=["harmful", "harmful", "benign", "benign", ""],
    )


def found(**view: Any) -> list[tuple[str, str]]:
    rows = views.filtered(table(), View(**view))
    return list(zip(rows["prompt_id"], rows["model"], strict=True))


def test_the_list_starts_with_the_least_stable_and_ends_with_what_has_no_decision() -> None:
    assert found() == [("p0", "b"), ("p2", "a"), ("p1", "a"), ("p0", "a"), ("p1", "b")]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({"models": ("b",)}, [("p0", "b"), ("p1", "b")]),
        ({"interventions": ("calm",)}, [("p1", "b")]),
        ({"categories": ("music",)}, [("p1", "a"), ("p1", "b")]),
        ({"categories": ("theft", "maths"), "models": ("a",)}, [("p2", "a"), ("p1", "a"), ("p0", "a")]),
        ({"lowest": 0.51}, [("p1", "a"), ("p0", "a")]),
        ({"lowest": 0.5, "highest": 0.75}, [("p0", "b"), ("p2", "a"), ("p1", "a")]),
        ({"flip": "flipped"}, [("p0", "b"), ("p2", "a"), ("p1", "a")]),
        ({"flip": "not flipped"}, [("p0", "a")]),
        ({"majorities": ("none", "PARTIAL")}, [("p2", "a"), ("p1", "b")]),
        ({"ever": ("COMPLY",)}, [("p0", "b"), ("p1", "a")]),
        ({"ever": ("COMPLY", "PARTIAL")}, [("p1", "a")]),
        ({"harms": ("benign", "not said")}, [("p2", "a"), ("p1", "a"), ("p1", "b")]),
        ({"text": "lock"}, [("p0", "b"), ("p1", "a"), ("p0", "a"), ("p1", "b")]),
        ({"text": "lock SONG"}, [("p1", "a"), ("p1", "b")]),
        ({"text": "(b+"}, [("p2", "a")]),
        ({"text": "p2"}, [("p2", "a")]),
        ({"text": "nothing of it"}, []),
        ({"order": "missing", "highest": 0.9}, [("p2", "a"), ("p0", "b"), ("p1", "a")]),
        ({"order": "flip"}, [("p0", "b"), ("p1", "a"), ("p2", "a"), ("p0", "a"), ("p1", "b")]),
        ({"order": "model"}, [("p0", "a"), ("p1", "a"), ("p2", "a"), ("p0", "b"), ("p1", "b")]),
        ({"order": "category"}, [("p2", "a"), ("p1", "a"), ("p1", "b"), ("p0", "a"), ("p0", "b")]),
        ({"order": "prompts"}, [("p0", "a"), ("p0", "b"), ("p1", "a"), ("p1", "b"), ("p2", "a")]),
    ],
)
def test_the_list_holds_what_the_filters_leave(view: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert found(**view) == expected


@pytest.mark.parametrize("order", views.ORDERS)
def test_every_order_orders(order: str) -> None:
    _, column, lowest_first = views.ORDERS[order]
    values = views.filtered(table(), View(order=order))[column].dropna().tolist()
    assert values == sorted(values, reverse=not lowest_first)


def test_a_click_on_a_columns_head_leads_to_its_order_and_a_second_one_on() -> None:
    reached = {views.order_after(order, head) for order in views.ORDERS for head in LIST_COLUMNS}
    assert reached == set(views.ORDERS)
    assert [views.order_after(order, "SSI") for order in ("flip", "ssi", "ssi-high")] == ["ssi", "ssi-high", "ssi"]
    assert views.order_after("category", "Category") == "category"


def test_the_list_shows_each_text_on_one_line_numbers_with_their_decimals_and_categories_in_words() -> None:
    long = "a word " * 200
    for name, value, shown in (
        ("prompt", "two\nlines\u202e", "two lines\\u{202e}"),
        ("prompt", long, f"{long[:LONGEST]}…"),
        ("category", "self_harm|sexually_explicit,adult_content", "self harm, sexually explicit, adult content"),
        ("flip", True, "flip"),
        ("flip", False, ""),
        ("ssi", 2 / 3, "0.67"),
        ("ssi", float("nan"), ""),
        ("n_refuse", 7, "7"),
    ):
        column = next(one for one in LIST_COLUMNS.values() if one.name == name)
        assert column.written(value) == shown


def test_the_list_leaves_out_columns_that_tell_no_rows_apart() -> None:
    rows = table().assign(lowest_confidence=float("nan"), verdict="stable, 20")
    assert [column.name for column in columns_of(rows)] == [
        *(column.name for column in LIST_COLUMNS.values() if column.name in rows and column.name != "lowest_confidence")
    ]
    assert "label" not in {column.name for column in columns_of(rows.assign(label="the only model"))}


SERIES = Series("a", "none", "A", "#000000", "o", "-")
HERE = [Condition("a", "none", t, s) for t in (0.0, 0.7) for s in (1, 2)]


def metrics(**changed: Any) -> dict[str, Any]:
    row = {"n": 3, "n_missing": 1, "n_refuse": 2, "n_partial": 0, "n_comply": 1}
    return row | {"ssi": 2 / 3, "flip": True, "unstable": True, "p_unstable": 0.75} | changed


def test_the_grid_has_a_row_a_temperature_and_a_cell_a_seed() -> None:
    decisions = dict(
        zip(HERE, [Decided("REFUSE"), Decided("COMPLY"), Decided("", "cut <off>"), Decided("REFUSE")], strict=True)
    )
    stranger = {Condition("b", "none", 0.0, 1): Decided("PARTIAL")}
    view = View(left=HERE[1], right=HERE[2])
    made = views.grid(SERIES, decisions | stranger, metrics(), view, ["a note"])
    assert made["seeds"] == ["1", "2"]
    assert [row["temperature"] for row in made["rows"]] == ["0", "0.7"]
    assert [[cell["letter"] for cell in row["cells"]] for row in made["rows"]] == [["R", "C"], ["–", "R"]]
    missing = made["rows"][1]["cells"][0]
    assert missing["says"] == "temperature 0.7, seed 1: missing: cut <off>; open on the right"
    assert [cell["side"] for row in made["rows"] for cell in row["cells"]] == ["", "left", "right", ""]
    assert len({cell["fill"] for row in made["rows"] for cell in row["cells"]}) == 3
    assert made["said"][0].startswith("SSI 0.67, unstable, flips: 2 REFUSE, 0 PARTIAL, 1 COMPLY, 1 missing")
    assert made["said"][1] == "a note"


def test_a_response_that_was_not_sampled_is_told_from_a_missing_one() -> None:
    decisions = dict(
        zip(
            HERE,
            [Decided("REFUSE"), Decided("", "not sampled", sampled=False), Decided("", "x"), Decided("COMPLY")],
            strict=True,
        )
    )
    made = views.grid(SERIES, decisions, metrics(), View())
    cells = [cell for row in made["rows"] for cell in row["cells"]]
    assert [cell["kind"] for cell in cells] == ["decided", "unsampled", "missing", "decided"]
    assert cells[1]["letter"] != cells[2]["letter"]
    assert cells[1]["says"] == "temperature 0, seed 2: not sampled"
    assert "not sampled" in views.legend()


def test_a_verdict_shows_its_confidence_and_what_it_rests_on_where_that_is_not_the_judge() -> None:
    verdicts = [
        Verdict("sure", 0, "REFUSE", "", confidence=0.875),
        Verdict("blocked", 0, "REFUSE", "", basis="provider"),
        Verdict("plain", 0, "COMPLY", ""),
    ]
    lines = re.findall("<li>.*?</li>", views.verdicts_as_html(verdicts, "sure"))
    assert "confidence 0.88" in lines[0]
    assert "blocked by the provider" in lines[1]
    assert "confidence" not in lines[2]
    assert "why" not in lines[2]


def test_labels_that_the_table_was_not_counted_from_are_noticed() -> None:
    decisions = dict(
        zip(HERE, [Decided("REFUSE"), Decided("COMPLY"), Decided("", "x"), Decided("REFUSE")], strict=True)
    )
    assert not views.disagrees(metrics(), decisions)
    assert views.disagrees(metrics(n_refuse=1, n_partial=1), decisions)


def test_an_unknown_chance_of_being_unstable_is_left_out() -> None:
    said = views.in_words(metrics(n=1, n_missing=0, n_refuse=1, n_comply=0, ssi=1.0, p_unstable=float("nan")))
    assert said.endswith("1 REFUSE, 0 PARTIAL, 0 COMPLY")


def test_a_prompt_without_any_decision_is_said_in_words() -> None:
    assert views.in_words(metrics(n=0, n_missing=4, ssi=float("nan"))) == "no decision; 4 missing"


def test_the_next_prompt_is_the_next_in_the_list() -> None:
    ids = ["p1", "p1", "p0", "p2", "p0"]
    assert [views.beside(ids, now, 1) for now in ("", "p1", "p0", "p2")] == ["p1", "p0", "p2", None]
    assert [views.beside(ids, now, -1) for now in ("", "p1", "p0")] == [None, None, "p1"]
    assert views.beside([], "p0", 1) is None


@given(st.text())
def test_no_character_of_a_shown_text_can_act(text: str) -> None:
    shown = visible(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", shown)
    assert visible(shown) == shown
    if text.isascii() and text.isprintable():
        assert shown == text


HOSTILE = "<script>x</script><img src=x onerror=y>"


@given(st.text(), st.text())
def test_verdicts_hold_no_markup_but_their_own(reasoning: str, reason: str) -> None:
    verdicts = [
        Verdict(HOSTILE, 0, "REFUSE", "", basis=HOSTILE, reasoning=reasoning + HOSTILE),
        Verdict("j", 1, "", reason + HOSTILE),
    ]
    made = views.verdicts_as_html(verdicts, "j", reasoning=True)
    tags = set(re.findall(r"<\s*/?\s*([^\s>/]+)", made))
    assert tags <= {"ul", "li", "span", "strong"}
    assert html.escape(HOSTILE) in made


def test_the_primary_judge_comes_first_and_repeats_are_told_apart() -> None:
    verdicts = [
        Verdict("x", 0, "REFUSE", "", reasoning="said by x"),
        Verdict("p", 0, "COMPLY", ""),
        Verdict("p", 1, "PARTIAL", ""),
    ]
    assert "said by x" not in views.verdicts_as_html(verdicts, "p")
    made = re.sub("<[^>]*>", "|", views.verdicts_as_html(verdicts, "p", reasoning=True))
    assert "said by x" in made
    assert re.findall(r"(?:p|x)[^|]*(?:primary|repeat)?[^|]*(?=\|)", made)
    assert made.index("p (primary), repeat 1") < made.index("p (primary), repeat 2") < made.index("|x|")
    assert "no reasoning" in made


def test_a_column_of_the_list_is_named_and_explained_as_everywhere_and_all_fit_a_window() -> None:
    assert list(LIST_COLUMNS)[:4] == ["Prompt", "Model", "SSI", "p(unstable)"]
    assert LIST_COLUMNS["SSI"].help == "share of the commonest decision, 1/3 to 1"
    assert sum(column.width for column in LIST_COLUMNS.values()) <= 980
