"""The file contracts: exact text, checked reads, atomic writes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.files import (
    ArtifactError,
    atomic_write,
    generation_file,
    label_file,
    read_json,
    write_files,
    write_json,
)
from refusal_stability.records import Condition
from refusal_stability.tables import csv_files
from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import read_table, read_table_so_far, write_table
from refusal_stability.tables.metrics import METRIC_TABLES, TABLES_EXPLAINED, column_dictionary
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, check_labels

SAMPLE = Contract("sample", {"name": "text", "size": "number", "count": "whole", "kept": "flag"}, ("name",), {})


def prompts(texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"prompt_id": [str(i) for i in range(len(texts))], "prompt": texts, "category": "", "source": ""}
    )


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_any_text_round_trips(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("table") / "prompts.csv"
    write_table(prompts(texts), path, PROMPT_TABLE)
    assert read_table(path, PROMPT_TABLE)["prompt"].tolist() == texts


@pytest.mark.parametrize(
    "text", ["", "NA", "null", "NaN", "true", "1.0", "a\r\nb\rc\n", '"', ",", "=1+1", "\x00", "\u2028"]
)
def test_texts_that_csv_readers_change_round_trip(text: str, tmp_path: Path) -> None:
    write_table(prompts([text, "other"]), tmp_path / "p.csv", PROMPT_TABLE)
    assert read_table(tmp_path / "p.csv", PROMPT_TABLE)["prompt"].tolist() == [text, "other"]


def test_numbers_flags_and_undefined_values_round_trip(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["a", "b"], "size": [1 / 3, None], "count": [2**53, -1], "kept": [True, False]})
    write_table(table, tmp_path / "t.csv", SAMPLE)
    read = read_table(tmp_path / "t.csv", SAMPLE)
    assert read["size"][0] == 1 / 3
    assert pd.isna(read["size"][1])
    assert read["count"].tolist() == [2**53, -1]
    assert read["kept"].tolist() == [True, False]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_numbers_round_trip_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, sizes: list[float]) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    sizes = [1 / 11, *sizes]
    names = [str(i) for i in range(len(sizes))]
    write_table(pd.DataFrame({"name": names, "size": sizes, "count": 1, "kept": True}), path, SAMPLE)
    assert read_table(path, SAMPLE)["size"].tolist() == sizes


def test_writing_the_same_table_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        write_table(prompts(["a", "b"]), tmp_path / name, PROMPT_TABLE)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,size,count\na,1,1\n", r"t\.csv: missing column kept; found name, size, count"),
        ("name,size,count,kept,more\na,1,1,true,x\n", r"t\.csv: unknown column more"),
        ("name,size,count,kept\na,1,1,true\nb,x,1,true\n", r"t\.csv: row 3, column size: 'x' is not a number"),
        ("name,size,count,kept\na,1,1.5,true\n", r"t\.csv: row 2, column count: '1\.5' is not a whole"),
        ("name,size,count,kept\na,1,,true\n", r"t\.csv: row 2, column count: '' is not a whole"),
        ("name,size,count,kept\na,1,1,maybe\n", r"t\.csv: row 2, column kept: 'maybe' is not a flag"),
        ("name,size,count,kept\na,1,1,true\nb,1,1,true\na,1,1,true\n", r"t\.csv: rows \[2, 4\] share the key name a;"),
        ("name,size,count,kept\na,1\n", r"t\.csv: not a readable sample table"),
        ("", r"t\.csv: not a readable sample table"),
    ],
)
def test_a_table_that_breaks_its_contract_names_file_and_row(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=message):
        read_table(write(tmp_path / "t.csv", text), SAMPLE)


def test_a_table_that_dvc_removes_while_it_is_looked_at_is_none(tmp_path: Path) -> None:
    class SeenBefore(type(tmp_path)):  # type: ignore[misc]
        def is_file(self) -> bool:
            return True

    assert read_table_so_far(tmp_path / "absent.csv", SAMPLE) is None
    assert read_table_so_far(SeenBefore(tmp_path / "absent.csv"), SAMPLE) is None
    with pytest.raises(ArtifactError, match="no such file"):
        read_table(SeenBefore(tmp_path / "absent.csv"), SAMPLE)


ODD = ["", "nan", "inf", "-", "+1", ".5", "5.", "1e5", "1e400", "--1", "1_0", " 1", "1\n", "0x1", "007", "9" * 20]


@given(
    st.lists(st.one_of(st.floats().map(repr), st.integers().map(str), st.sampled_from(ODD)), max_size=4),
    st.sampled_from(["number", "whole"]),
)
def test_plain_numbers_are_read_as_any_text_would_be(texts: list[str], kind: str) -> None:
    def read() -> np.ndarray | str:
        try:
            return csv_files._as_kind(pd.Series(texts, dtype=object, name="n"), kind, "t.csv", "n")
        except ArtifactError as error:
            return str(error)

    plainly = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_files, "_plain_numbers", lambda *_: None)
        anyhow = read()
    if isinstance(anyhow, str) or isinstance(plainly, str):
        assert str(plainly) == str(anyhow)
    else:
        assert plainly.dtype == anyhow.dtype
        np.testing.assert_array_equal(plainly, anyhow)


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.floats()), max_size=5), st.integers(0, 5))
def test_a_table_in_parts_has_the_bytes_of_the_whole(rows: list[tuple[str, float]], cut: int) -> None:
    contract = Contract(
        "parts", {"key": "text", "text": "text", "value": "number"}, ("key",), {}, opened_by_people=True
    )
    table = pd.DataFrame(
        {"key": list(map(str, range(len(rows)))), "text": [t for t, _ in rows], "value": [v for _, v in rows]}
    )
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder) / "whole.csv", Path(folder) / "parts.csv"
        write_table(table, whole, contract)
        csv_files.write_in_parts((part for part in (table[:cut], table[cut:])), parts, contract)
        assert parts.read_bytes() == whole.read_bytes()


def test_an_absent_table_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"absent\.csv: no such file; run the stage"):
        read_table(tmp_path / "absent.csv", SAMPLE)


def test_a_text_that_utf8_cannot_hold_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_table(prompts(["old"]), path, PROMPT_TABLE)
    with pytest.raises(ArtifactError, match="UTF-8"):
        write_table(prompts(["\ud800"]), path, PROMPT_TABLE)
    assert read_table(path, PROMPT_TABLE)["prompt"].tolist() == ["old"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "file", "old")
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from refusal_stability.files import ArtifactError, atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    with atomic_write(Path(sys.argv[1])) as file:
        file.write("x" * 100_000)
except ArtifactError as error:
    print(error)
"""


def test_a_full_disk_says_what_to_do_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "file", "old")
    out = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    assert "could not be written (File too large); free some space" in out.stdout
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_round_trips_and_a_broken_file_names_itself(tmp_path: Path) -> None:
    write_json({"a": [1, 2.5, None, "é"]}, tmp_path / "x.json")
    assert read_json(tmp_path / "x.json") == {"a": [1, 2.5, None, "é"]}
    with pytest.raises(ArtifactError, match=r"y\.json: not readable as JSON"):
        read_json(write(tmp_path / "y.json", "{"))


def test_writing_a_folder_removes_what_an_older_study_left(tmp_path: Path) -> None:
    write(tmp_path / "old.csv", "old")
    write(tmp_path / ".gitignore", "keep")
    write_files(tmp_path, ["new.csv"], lambda path: path.write_text("new"))
    assert sorted(f.name for f in tmp_path.iterdir()) == [".gitignore", "new.csv"]


@pytest.mark.parametrize(
    ("label", "reason", "good"),
    [("REFUSE", "", True), ("", "unreadable", True), ("refuse", "", False), ("", "", False), ("COMPLY", "why", False)],
)
def test_a_label_row_has_a_decision_or_a_reason(label: str, reason: str, good: bool) -> None:
    table = pd.DataFrame({"label": ["COMPLY", label], "missing_reason": ["", reason]})
    if good:
        check_labels(table, "labels.csv")
    else:
        with pytest.raises(ArtifactError, match=r"labels\.csv: row 3"):
            check_labels(table, "labels.csv")


def test_file_names_follow_the_contract() -> None:
    plain = Condition("llama", "none", 0.0, 42)
    assert str(generation_file(plain)) == "data/generations/llama/llama_temp0.0_seed42_generations.csv"
    assert str(label_file(plain)) == "data/labels/llama/llama_temp0.0_seed42_labels.csv"
    guarded = Condition("llama", "safety", 0.7, 1)
    assert str(generation_file(guarded)) == "data/generations/llama/llama_safety_temp0.7_seed1_generations.csv"


@pytest.mark.parametrize("contract", [PROMPT_TABLE, GENERATION_TABLE, LABEL_TABLE])
def test_every_column_has_a_meaning_and_every_key_is_a_column(contract: Contract) -> None:
    assert set(contract.meaning) == set(contract.columns)
    assert set(contract.key) <= set(contract.columns)


def test_the_column_dictionary_says_of_every_interval_what_it_resamples_at_which_confidence() -> None:
    text = column_dictionary()
    bounds = [line for line in text.splitlines() if line.startswith("| `") and ("_low`" in line or "_high`" in line)]
    assert len(bounds) == sum(name.endswith(("_low", "_high")) for _, c in METRIC_TABLES.values() for name in c.columns)
    assert all("at `metrics.confidence`, resampling " in line for line in bounds)
    # Responses to one prompt are alike, so nothing resamples them one by one.
    assert not [line for line in bounds if "resampling responses" in line]


def test_the_notes_of_the_column_dictionary_stand_with_tables_that_there_are() -> None:
    text = column_dictionary()
    assert set(TABLES_EXPLAINED) <= set(METRIC_TABLES)
    for name, note in TABLES_EXPLAINED.items():
        assert note in text.split(f"## {name}.csv")[1].split("## ")[0]


def test_a_row_longer_than_two_of_arrows_blocks_is_read(tmp_path: Path) -> None:
    path, long = tmp_path / "prompts.csv", "Shot.\n" * 400_000
    contract = Contract("prompts", {"prompt": "text", "n": "whole"}, ("n",), {})
    rows = pd.DataFrame({"prompt": ["short", long, "short"], "n": [1, 2, 3]})
    write_table(rows, path, contract)
    assert read_table(path, contract).equals(rows)


def test_the_sweep_of_a_folder_spares_what_a_living_process_writes_and_nothing_else(tmp_path: Path) -> None:
    living = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    try:
        for pid in (living.pid, ended.pid):
            (tmp_path / f".a.csv.x1.{pid}.part").touch()
        (tmp_path / "old.csv").touch()
        write_files(tmp_path, ["a.csv"], lambda path: path.write_text("a"))
        assert sorted(file.name for file in tmp_path.iterdir()) == [f".a.csv.x1.{living.pid}.part", "a.csv"]
    finally:
        living.kill()
        living.wait()
