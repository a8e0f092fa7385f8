"""Reading rows: every format that a prompt file may have, and every way in which it may be broken."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.files import ArtifactError
from refusal_stability.tables import parquet_batches, user_files
from refusal_stability.tables.user_files import read_rows

AWKWARD = [
    'say "hello"',
    "two\nlines",
    "carriage\r\nreturn",
    "comma, comma",
    "NA",
    "null",
    "  spaces  ",
    "Grüße 🌱 \u2028",
    "1",
]


def texts(path: Path) -> list[str]:
    return [row.text("prompt") for row in read_rows(path, ["prompt"])]


def failure(path: Path, columns: list[str] | None = None) -> str:
    with pytest.raises(ArtifactError) as caught:
        list(read_rows(path, columns or ["prompt"]))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def write_json_lines(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.csv.gz", "p.csv.xz", "P.CSV"])
def test_a_table_gives_every_text_back_word_for_word(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    separator = "\t" if ".tsv" in name else ","
    pd.DataFrame({"n": range(len(AWKWARD)), "prompt": AWKWARD}).to_csv(
        path, index=False, sep=separator, lineterminator="\n"
    )
    assert texts(path) == AWKWARD


@pytest.mark.parametrize(
    ("name", "pack"),
    [("p.jsonl", bytes), ("p.jsonl.gz", gzip.compress), ("p.ndjson.xz", lzma.compress), ("p.jsonl.bz2", bz2.compress)],
)
def test_json_lines_give_every_text_back_plain_or_compressed(tmp_path: Path, name: str, pack: type[bytes]) -> None:
    lines = "".join(json.dumps({"prompt": t, "other": {"deep": [1]}}, ensure_ascii=False) + "\n" for t in AWKWARD)
    (tmp_path / name).write_bytes(pack(lines.encode("utf-8")))
    assert texts(tmp_path / name) == AWKWARD


def test_a_json_file_is_a_list_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"prompt": t} for t in AWKWARD]), encoding="utf-8")
    assert texts(path) == AWKWARD
    path.write_text('{"prompt": "one"}', encoding="utf-8")
    assert "expected a list of objects or texts, found dict" in failure(path)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1, max_size=8))
def test_any_text_survives_json_lines(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    path = write_json_lines(tmp_path_factory.mktemp("rows") / "p.jsonl", [{"prompt": v} for v in values])
    assert texts(path) == values


def test_a_text_longer_than_a_block_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xef\xbb\xbfprompt,n\r\n" + b"x" * 3_000_000 + b",1\r\n")
    assert [len(t) for t in texts(path)] == [3_000_000]


def test_rows_are_counted_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('prompt\n"two\nlines"\nnext\n', encoding="utf-8")
    assert [row.place for row in read_rows(path, ["prompt"])] == [f"{path}: row 2", f"{path}: row 3"]


def test_a_missing_column_lists_the_columns_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("question,topic\na,b\n", encoding="utf-8")
    assert "no column 'prompt'" in failure(path)
    assert failure(path).endswith("found question, topic")
    lines = write_json_lines(tmp_path / "p.jsonl", [{"prompt": "a"}, {"question": "b", "topic": "c"}])
    assert "row 2: no column 'prompt'" in failure(lines)
    assert failure(lines).endswith("found question, topic")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt,prompt\na,b\n", encoding="utf-8")
    assert "2 columns are named 'prompt'" in failure(path)
    # Many more columns than a table has: read in seconds, where counting each took minutes.
    names = [f"c{n}" for n in range(20_000)]
    path.write_text(f"prompt,{','.join(names)},c7\n", encoding="utf-8")
    assert "2 columns are named 'c7'" in failure(path)


def test_a_wrong_encoding_names_the_line_and_the_remedy(tmp_path: Path) -> None:
    table, lines = tmp_path / "p.csv", tmp_path / "p.jsonl"
    table.write_bytes("prompt\nplain\nnaïve\n".encode("latin-1"))
    assert "line 3: not UTF-8 text (byte 0xef); save the file with the encoding UTF-8" in failure(table)
    table.write_bytes("prompt\nplain\n".encode("utf-16"))
    assert "not UTF-8 text" in failure(table)
    lines.write_bytes('{"prompt": "plain"}\n{"prompt": "naïve"}\n'.encode("latin-1"))
    assert "row 2: not UTF-8 text" in failure(lines)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("prompt,n\na,1\nb,2,3\n", "row 3: 3 values, but the header names 2 columns"),
        ("prompt,n\na,1\nb\n", "row 3: 1 values, but the header names 2 columns"),
        ('prompt\n"a\nb\n', "a quotation mark is not closed"),
    ],
)
def test_a_broken_table_is_refused_rather_than_read_askew(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(content, encoding="utf-8")
    assert problem in failure(path)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"prompt": "a"', "row 2: not readable as JSON"),
        ("7", "row 2: expected an object or a text, found int"),
        ("[" * 100_000, "row 2: not readable as JSON"),
    ],
)
def test_a_broken_json_line_names_its_row(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "fine"}\n' + line + "\n", encoding="utf-8")
    assert problem in failure(path)


def test_blank_lines_between_json_lines_are_skipped_but_counted(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a"}\n\n{"prompt": "b"}\n', encoding="utf-8")
    assert [row.place.rsplit(" ", 1)[1] for row in read_rows(path, ["prompt"])] == ["1", "3"]


@pytest.mark.parametrize("value", [None, 7, True, ["a"], {"a": 1}])
def test_a_value_that_is_no_text_names_its_row_and_column(tmp_path: Path, value: object) -> None:
    path = write_json_lines(tmp_path / "p.jsonl", [{"prompt": value}])
    with pytest.raises(ArtifactError, match=r"p\.jsonl: row 1, column prompt: holds .*; a text is expected"):
        texts(path)


def test_half_a_character_is_refused_since_no_table_can_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a\\ud83c"}\n', encoding="utf-8")
    with pytest.raises(ArtifactError, match="row 1, column prompt: holds half a character"):
        texts(path)


@pytest.mark.parametrize("name", ["p.jsonl.gz", "p.jsonl.xz", "p.csv.bz2"])
def test_a_damaged_archive_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"this is no archive")
    assert "could not be read" in failure(path)
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}[path.suffix]
    path.write_bytes(pack(b'{"prompt": "a"}\n' * 1000)[:-12])
    assert "could not be read" in failure(path)


def test_a_file_that_is_not_there_a_folder_and_an_unknown_format_say_what_to_do(tmp_path: Path) -> None:
    assert "no such file; check its path" in failure(tmp_path / "absent.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "could not be read (Is a directory)" in failure(tmp_path / "folder.csv")
    (tmp_path / "p.docx").write_bytes(b"")
    assert "name it .csv, .tsv, .jsonl, .ndjson, .json, .txt, .parquet, .xlsx" in failure(tmp_path / "p.docx")


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_a_table_without_a_header_is_called_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    assert "the file is empty; give it a header and rows" in failure(path)


def test_a_line_or_a_file_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_files, "LONGEST_LINE", 2**20)
    monkeypatch.setattr(user_files, "LARGEST_WHOLE", 2**20)
    lines, table = tmp_path / "lines.jsonl.gz", tmp_path / "table.csv.gz"
    lines.write_bytes(gzip.compress(b'{"a": "b"}\n{"a": "' + b"x" * 2**21 + b'"}\n'))
    with pytest.raises(ArtifactError, match=r"lines\.jsonl\.gz: row 2: longer than 1 MB; put each record on a line"):
        list(read_rows(lines, ["a"]))
    table.write_bytes(gzip.compress(b"a\n" + b"x\n" * 2**20))
    with pytest.raises(ArtifactError, match=r"table\.csv\.gz: more than 1 MB; write it as JSON lines"):
        list(read_rows(table, ["a"]))


def test_the_rows_of_a_large_parquet_file_are_numbered_through(tmp_path: Path) -> None:
    count = 2 * parquet_batches.MOST_ROWS + 5
    pd.DataFrame({"a": [f"text {k}" for k in range(count)]}).to_parquet(tmp_path / "rows.parquet")
    rows = list(read_rows(tmp_path / "rows.parquet", ["a"]))
    assert [row.number for row in rows] == list(range(2, count + 2))
    assert [row.text("a") for row in rows] == [f"text {k}" for k in range(count)]


@pytest.mark.parametrize("as_categories", [True, False])
def test_a_parquet_file_that_unpacks_to_far_more_than_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_categories: bool
) -> None:
    monkeypatch.setattr(parquet_batches, "LARGEST", 2**20)
    table = pd.DataFrame({"a": ["x" * 2**14] * 200})
    (table.astype("category") if as_categories else table).to_parquet(tmp_path / "bomb.parquet", compression="zstd")
    with pytest.raises(
        ArtifactError, match=r"bomb\.parquet: unpacks to over 1 MB, more than 200 times its size; .*lines"
    ):
        list(read_rows(tmp_path / "bomb.parquet", ["a"]))
    monkeypatch.setattr(parquet_batches, "LARGEST", 2**30)
    monkeypatch.setattr(parquet_batches, "LARGEST_BATCH", 2**16)
    assert len(list(read_rows(tmp_path / "bomb.parquet", ["a"]))) == 200
