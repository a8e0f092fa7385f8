"""Texts of other people in files that spreadsheets open."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.spreadsheets import FORMULA_STARTS, csv_text, formula_safe, guarded, unguarded

TEXTS = ["=1+1", "+1", "-1", "@a", "\tx", "\rx", "\n=1", "plain", "a=b", ""]
SAFE = ["'=1+1", "'+1", "'-1", "'@a", "'\tx", "'\rx", "'\n=1", "plain", "a=b", ""]


@pytest.mark.parametrize("dtype", ["object", "string", "category", "string[pyarrow]"])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe_whatever_the_columns_type(dtype: str) -> None:
    table = pd.DataFrame({"text": pd.Series(TEXTS, dtype=dtype), "number": [-1.5] * 10})
    shown = formula_safe(table)
    assert list(shown["text"]) == SAFE
    assert list(shown["number"]) == [-1.5] * 10
    assert list(table["text"]) == TEXTS


def test_what_is_no_text_stays_as_it_is() -> None:
    table = pd.DataFrame({"flip": [True, False], "mixed": ["=x", -3], "absent": ["-y", None]}, index=[7, 3])
    shown = formula_safe(table)
    assert shown["flip"].dtype == bool
    assert list(shown["mixed"]) == ["'=x", -3]
    assert list(shown["absent"]) == ["'-y", None]
    assert list(shown.index) == [7, 3]


def test_a_category_that_is_there_with_its_apostrophe_already_is_not_lost() -> None:
    table = pd.DataFrame({"text": pd.Series(["=a", "'=a"], dtype="category")})
    assert list(formula_safe(table)["text"]) == ["'=a", "'=a"]


@pytest.mark.parametrize("text", ["Fine\r=1+1", "a\rb", 'he said "no",\r\nthen stopped', "a\n=b"])
def test_no_text_ends_its_row_early(text: str) -> None:
    written = csv_text(pd.DataFrame({"id": ["x", "y"], "text": [text, "plain"], "number": [1.5, 2.0]}))
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert rows == [["id", "text", "number"], ["x", text, "1.5"], ["y", "plain", "2.0"]]


@given(st.lists(st.sampled_from(["'", *FORMULA_STARTS, "a", " "]), max_size=5).map("".join) | st.text(max_size=5))
def test_a_guarded_text_is_no_formula_and_comes_back(text: str) -> None:
    assert not guarded(text).startswith(FORMULA_STARTS)
    assert unguarded(guarded(text)) == text


def test_a_table_that_people_open_holds_no_formula_and_is_read_back_word_for_word(tmp_path: Path) -> None:
    contract = Contract("t", {"text": "text", "number": "number"}, (), {}, opened_by_people=True)
    texts = [*TEXTS, "'=1+1", "''-1", "'"]
    write_table(pd.DataFrame({"text": texts, "number": [-1.5] * len(texts)}), tmp_path / "t.csv", contract)
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert not any(row[0].startswith(FORMULA_STARTS) for row in rows)
    assert {row[1] for row in rows} == {"-1.5"}
    assert list(read_table(tmp_path / "t.csv", contract)["text"]) == texts
