"""Large generation files: Parquet holds what CSV holds, one of the two is there, and damage is noticed."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.files import PARQUET, ArtifactError, generation_file, generation_place
from refusal_stability.records import Completion, Condition, Outcome
from refusal_stability.study.arrow_columns import read_columns
from refusal_stability.tables.csv_files import column_names, read_table, write_table
from refusal_stability.tables.generation_files import suffix_for, write_generation_files, write_generations
from refusal_stability.tables.study import GENERATION_TABLE, generation_table

CONDITION = Condition("m", "none", 0.1 + 0.2, 2**63 - 1)
ODD = ["", " ", "\x00", "a\r\nb\rc\n", '"', ",", "NA", "null", "nan", "true", "=1+1", "\u2028", "\ufeff", "\U0001f600"]
TEXTS = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]))
ANSWERS = st.builds(Completion, TEXTS, st.sampled_from(["stop", "length"]), thinking=TEXTS) | st.builds(
    Completion, st.just(""), st.just(""), missing_reason=TEXTS.filter(bool), outcome=st.just(Outcome.UNANSWERED)
)


def table_of(answers: list[Completion], prompts: list[str] | None = None) -> pd.DataFrame:
    asked = prompts or [f"prompt {k}" for k in range(len(answers))]
    return generation_table(
        CONDITION, pd.DataFrame({"prompt_id": [f"p{k}" for k in range(len(asked))], "prompt": asked}), answers
    )


def written(folder: Path, table: pd.DataFrame, suffix: str = PARQUET) -> Path:
    path = folder / f"t{suffix}"
    write_table(table, path, GENERATION_TABLE)
    return path


@given(rows=st.lists(st.tuples(TEXTS, ANSWERS), min_size=1, max_size=8))
def test_parquet_gives_back_what_csv_gives_back(
    rows: list[tuple[str, Completion]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    table = table_of([answer for _, answer in rows], [prompt for prompt, _ in rows])
    csv, parquet = (written(folder, table, suffix) for suffix in (".csv", PARQUET))
    from_parquet = read_table(parquet, GENERATION_TABLE)
    pd.testing.assert_frame_equal(read_table(csv, GENERATION_TABLE), from_parquet, check_exact=True)
    assert from_parquet["response"].tolist() == [answer.text for _, answer in rows]
    assert column_names(csv) == column_names(parquet)
    columns = [read_columns(path, GENERATION_TABLE) for path in (csv, parquet)]
    assert columns[0].schema == columns[1].schema
    assert columns[0].to_pydict() == columns[1].to_pydict()


def test_the_same_table_gives_the_same_bytes_also_over_several_row_groups(tmp_path: Path) -> None:
    table = table_of([Completion(f"answer {k % 7}", "stop") for k in range(2**16 + 3)])
    first = written(tmp_path, table).read_bytes()
    assert written(tmp_path, table).read_bytes() == first
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 2
    assert b"pandas" not in first


@pytest.mark.parametrize("suffix", [".csv", PARQUET])
def test_half_a_character_is_refused_and_leaves_the_file_before(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, table_of([Completion("good", "stop")]), suffix)
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match="cannot be written as UTF-8"):
        written(tmp_path, table_of([Completion("half \ud800", "stop")]), suffix)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_bytes_of_the_texts_decide_the_form() -> None:
    table = table_of([Completion("é" * 300_000, "stop", thinking="t" * 399_992)])  # and 8 of the prompt
    assert suffix_for(table, 1) == ".csv"
    table["thinking"] += "t"
    assert suffix_for(table, 1) == PARQUET
    assert suffix_for(table, 0) == PARQUET


def test_one_form_takes_the_place_of_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    csv, parquet = (generation_place(CONDITION, suffix) for suffix in (".csv", PARQUET))
    assert generation_file(CONDITION) == csv
    for text, place in (("one", csv), ("two", parquet), ("three", csv)):
        write_generations(table_of([Completion(text, "stop")]), place)
        assert [file.name for file in place.parent.iterdir()] == [place.name]
        assert read_table(generation_file(CONDITION), GENERATION_TABLE)["response"].tolist() == [text]


def test_no_answers_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = generation_place(CONDITION, PARQUET)
    write_generations(table_of([Completion("of an older study", "stop")]), place)
    write_generation_files("m", table_of([])[["prompt_id", "prompt"]], {}, 100)
    assert list(place.parent.iterdir()) == []


def test_two_forms_at_once_are_an_error_that_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for suffix in (".csv", PARQUET):
        write_table(table_of([Completion(suffix, "stop")]), generation_place(CONDITION, suffix), GENERATION_TABLE)
    with pytest.raises(ArtifactError, match=r"_generations\.csv: .*_generations\.parquet is there too.*generate"):
        generation_file(CONDITION)


def test_no_changed_bit_goes_unnoticed(tmp_path: Path) -> None:
    rng = random.Random(0)
    table = table_of([Completion(f"answer {rng.random()}", "stop") for _ in range(200)])
    path = written(tmp_path, table)
    right, content = read_table(path, GENERATION_TABLE), path.read_bytes()
    for place in rng.sample(range(8 * len(content)), 400):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = read_table(path, GENERATION_TABLE)
        except ArtifactError:
            continue
        assert found.equals(right), place
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ArtifactError, match=r"t\.parquet: not a readable generations table.*; delete it, and `dvc repro`"
    ):
        read_table(path, GENERATION_TABLE)


def test_a_file_of_somebody_else_is_read_or_named(tmp_path: Path) -> None:
    table = table_of([Completion("a", "stop"), Completion("b", "stop")])
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pandas(table.assign(thinking=[None, "x"])), path)
    assert read_table(path, GENERATION_TABLE)["thinking"].tolist() == ["", "x"]
    pq.write_table(pa.Table.from_pandas(table.assign(seed=["1", "one"])), path)
    with pytest.raises(ArtifactError, match=r"t\.parquet: row 3, column seed: 'one' is not a whole number"):
        read_table(path, GENERATION_TABLE)
    pq.write_table(pa.Table.from_pandas(table.assign(thinking=[["a"], ["b"]])), path)
    with pytest.raises(ArtifactError, match=r"t\.parquet: not a readable generations table"):
        read_table(path, GENERATION_TABLE)
    pq.write_table(pa.Table.from_pandas(table.drop(columns="response")), path)
    with pytest.raises(ArtifactError, match=r"t\.parquet: missing column response"):
        read_table(path, GENERATION_TABLE)
    pq.write_table(pa.Table.from_pandas(table.drop(columns=["outcome", "unseeded"])), path)
    assert read_table(path, GENERATION_TABLE)["outcome"].tolist() == ["answered", "answered"]
