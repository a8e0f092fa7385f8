"""Formats beside CSV and JSON, bare quotation marks, blank lines, long rows, and whole files as tables."""

from __future__ import annotations

import gzip
import importlib.util
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.files import ArtifactError, read_json
from refusal_stability.tables.user_files import read_frame, read_rows


def texts(path: Path, column: str = "prompt") -> list[object]:
    return [row.values[column] for row in read_rows(path, [column])]


def failure(path: Path, *columns: str) -> str:
    with pytest.raises(ArtifactError) as caught:
        list(read_rows(path, list(columns) or ["prompt"]))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ('How long is a 5" pipe?', 'How long is a 5" pipe?'),
        ('5"', '5"'),
        ('two "quoted" words', 'two "quoted" words'),
        ('"Hello" she said', '"Hello" she said'),
        ('"How long is a 5" pipe?"', 'How long is a 5" pipe?'),
        ('"He said ""no"" to 5" pipes"', 'He said "no" to 5" pipes'),
        ('"yes" or "no"', '"yes" or "no"'),
        ('"yes"; "no" or "perhaps"', '"yes"; "no" or "perhaps"'),
        ('"Say "yes""', 'Say "yes"'),
        ('"Say "yes" or "no"."', 'Say "yes" or "no".'),
        ('"an ordinary, quoted one"', "an ordinary, quoted one"),
    ],
)
@pytest.mark.parametrize(("name", "delimiter"), [("q.csv", ","), ("q.tsv", "\t")])
def test_a_bare_quotation_mark_is_part_of_its_text(
    tmp_path: Path, name: str, delimiter: str, field: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(f"prompt{delimiter}category\n{field}{delimiter}a\nplain{delimiter}b\n", encoding="utf-8")
    assert texts(path) == [text, "plain"]
    assert texts(path, "category") == ["a", "b"]


def test_a_quotation_mark_that_is_not_closed_names_its_row(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text('prompt,n\nplain,1\n\n"two\nlines",2\n"open,3\nnext,4\n', encoding="utf-8")
    assert failure(path).startswith(f"{path}: row 5: a quotation mark is not closed")


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=9)] * 2),
        min_size=1,
        max_size=6,
    )
)
def test_the_lenient_reading_agrees_with_the_strict_one_on_well_formed_files(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("lenient")
    quoted = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
    (folder / "strict.csv").write_text("prompt,n\n" + quoted, encoding="utf-8", newline="")
    # The last row makes the file one that Python's csv refuses.
    (folder / "lenient.csv").write_text("prompt,n\n" + quoted + '"a" b,c\n', encoding="utf-8", newline="")
    strict = [tuple(row.values.values()) for row in read_rows(folder / "strict.csv", ["prompt", "n"])]
    assert strict == rows
    assert [tuple(r.values.values()) for r in read_rows(folder / "lenient.csv", ["prompt", "n"])][:-1] == rows


@pytest.mark.parametrize("bare", ["", '"a" b,c\n'])
def test_blank_lines_count_as_rows_as_in_a_spreadsheet(tmp_path: Path, bare: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f'prompt,n\na,1\n\n"two\nlines",2\r\n\r\nlast,3\n{bare}', encoding="utf-8", newline="")
    assert [row.number for row in read_rows(path, ["prompt"])][:3] == [2, 4, 6]


@pytest.mark.parametrize("bare", ["", '"a" b,c\n'])
def test_a_field_of_several_megabytes_is_read(tmp_path: Path, bare: str) -> None:
    path = tmp_path / "p.csv"
    long = "Q: What is it, then?\n" * 200_000
    path.write_text(f'prompt,n\n"{long}",1\n{bare}', encoding="utf-8")
    assert texts(path)[0] == long


def test_parquet_gives_texts_lists_and_row_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    messages = [{"role": "user", "content": "Why?"}]
    pd.DataFrame({"prompt": ["a", "b\nc"], "turns": [["a"], ["b", "c"]], "messages": [messages] * 2}).to_parquet(path)
    rows = list(read_rows(path, ["prompt", "turns", "messages"]))
    assert [row.place for row in rows] == [f"{path}: row 2", f"{path}: row 3"]
    assert rows[1].values == {"prompt": "b\nc", "turns": ["b", "c"], "messages": messages}
    assert f"{path}: no column 'question' (check prompts.columns); found prompt, turns" in failure(path, "question")
    path.write_bytes(b"no parquet")
    assert "not readable as Parquet" in failure(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_text_file_has_one_text_per_line(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / ("p.txt" if pack is bytes else "p.txt.gz")
    path.write_bytes(pack('\ufeffWhy, "so"?\r\n\n  indented \u2028 text\nlast'.encode()))
    rows = list(read_rows(path, ["question"]))
    assert [row.values["question"] for row in rows] == ['Why, "so"?', "  indented \u2028 text", "last"]
    assert [row.number for row in rows] == [1, 3, 4]
    assert "no column 'topic'" in failure(path, "question", "topic")


@pytest.mark.parametrize("name", ["p.json", "p.jsonl"])
def test_json_may_list_texts(tmp_path: Path, name: str) -> None:
    path, values = tmp_path / name, ["Why?", "two\nlines"]
    lines = "".join(json.dumps(value) + "\n" for value in values)
    path.write_text(json.dumps(values) if name.endswith("json") else lines, encoding="utf-8")
    assert texts(path) == values


def test_excel_without_its_package_says_what_to_do_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "p.xlsx"
    path.write_bytes(b"no workbook")
    assert "not readable as Excel" in failure(path)
    if importlib.util.find_spec("openpyxl"):
        pytest.skip("openpyxl is installed, so the message about its absence cannot come")
    with zipfile.ZipFile(path, "w") as workbook:
        workbook.writestr("xl/workbook.xml", "<workbook/>")
    assert "pandas needs another package to read Excel files (" in failure(path)
    assert "openpyxl" in failure(path)
    assert failure(path).endswith("install it, or save the sheet as 'CSV UTF-8'")


def test_an_excel_sheet_is_read_as_texts_with_the_rows_that_excel_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = pd.DataFrame({"prompt": ["Why?", "", "NA"], "n": ["1", "", "2"]})
    monkeypatch.setattr(pd, "read_excel", lambda *_, **options: sheet if options["dtype"] is str else None)
    path = tmp_path / "p.xlsx"
    path.write_bytes(b"")
    assert [(row.number, row.text("prompt")) for row in read_rows(path, ["prompt"])] == [(2, "Why?"), (4, "NA")]


def test_a_real_workbook_is_read_as_texts(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl, which reads .xlsx files, is not installed")
    workbook, path = openpyxl.Workbook(), tmp_path / "p.xlsx"
    sheet = workbook.active
    rows = [["prompt", "id", "n"], ["Why?\nTwo lines", "001", 1], [None] * 3, ["NA", 2, 1.5], ["'quoted", True, 10**17]]
    for row in rows:
        sheet.append(row)
    workbook.create_sheet("other").append(["no prompt"])
    workbook.save(path)
    found = [(row.number, *row.values.values()) for row in read_rows(path, ["prompt", "id", "n"])]
    assert found == [
        (2, "Why?\nTwo lines", "001", "1"),
        (4, "NA", "2", "1.5"),
        (5, "'quoted", "True", "100000000000000000"),
    ]
    sheet.insert_rows(1)
    workbook.save(path)
    assert failure(path).endswith("the first row of the first sheet names no column; begin the table in that row")


def test_a_whole_file_is_a_table_of_texts_indexed_by_row_number(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("label,seed\nREFUSE,1\n\nNA,\n", encoding="utf-8")
    table = read_frame(path)
    assert table.to_dict("index") == {2: {"label": "REFUSE", "seed": "1"}, 4: {"label": "NA", "seed": ""}}
    lines = tmp_path / "labels.jsonl"
    lines.write_text('{"label": "REFUSE", "seed": 1}\n{"label": null, "turns": ["a"]}\n', encoding="utf-8")
    assert read_frame(lines).to_dict("index") == {
        1: {"label": "REFUSE", "seed": "1", "turns": ""},
        2: {"label": "", "seed": "", "turns": '["a"]'},
    }


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000])
def test_json_that_python_does_not_take_is_no_traceback(tmp_path: Path, value: str) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "x"}\n{"prompt": "y", "n": ' + value + "}\n")
    assert failure(tmp_path / "p.jsonl").startswith(f"{tmp_path / 'p.jsonl'}: row 2: not readable as JSON")
    (tmp_path / "p.json").write_text(value)
    with pytest.raises(ArtifactError, match="not readable as JSON"):
        read_json(tmp_path / "p.json")
