"""MLflow's database: whole or not there, whatever ended the process that made it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from refusal_stability.tracking.database import is_half_made, make_whole


def tables_of_mlflow(path: Path, *, finished: bool) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("CREATE TABLE experiments (name TEXT)")
        if finished:
            database.execute("INSERT INTO experiments VALUES ('Default')")
        database.commit()


def test_a_database_whose_making_was_ended_is_not_there_and_is_made_the_next_time(tmp_path: Path) -> None:
    database = tmp_path / "mlruns/mlflow.db"

    def ended(path: Path) -> None:
        tables_of_mlflow(path, finished=False)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_whole(database, ended)
    assert not database.exists()
    make_whole(database, lambda path: tables_of_mlflow(path, finished=True))
    assert not is_half_made(database)
    assert sorted(file.name for file in database.parent.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


@pytest.mark.parametrize("left", ["empty", "tables"])
def test_a_half_made_database_is_made_anew(tmp_path: Path, left: str, capsys: pytest.CaptureFixture[str]) -> None:
    database = tmp_path / "mlflow.db"
    database.touch()
    if left == "tables":
        tables_of_mlflow(database, finished=False)
    assert is_half_made(database)
    make_whole(database, lambda path: tables_of_mlflow(path, finished=True))
    assert not is_half_made(database)
    assert "half made and held no run" in capsys.readouterr().err


def test_a_whole_database_and_a_file_that_is_none_of_mlflows_are_left(tmp_path: Path) -> None:
    whole, other, text = (tmp_path / name for name in ("whole.db", "other.db", "text.db"))
    tables_of_mlflow(whole, finished=True)
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE mine (name TEXT)")
    text.write_text("no database")
    for file in (whole, other, text):
        before = file.read_bytes()
        make_whole(file, lambda path: pytest.fail(f"{path} is made"))
        assert file.read_bytes() == before


def test_a_database_that_may_not_be_written_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "mlflow.db"
    tables_of_mlflow(database, finished=True)
    # Root may write everything: as somebody else would find it.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match=r"mlflow\.db"):
        make_whole(database, lambda path: pytest.fail(f"{path} is made"))
