"""The store as `plan` and `status` read it: beside a writer, torn, of another schema, or not there at all."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from refusal_stability.engines.store import INSERT, Session, Store, StoreError
from refusal_stability.engines.store_file import TABLES, completion_row
from refusal_stability.engines.store_view import StoredTokens, StoreView
from refusal_stability.records import Completion, Outcome

SESSION = Session("s", "small", "{}", "{}", "2026-01-31T00:00:00Z", 2.0, 3, 30, 60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one completion, which nobody has open."""
    path = tmp_path / "a folder?" / "store.sqlite"
    with Store(path) as store:
        store.put("a", Completion("text", "stop", 10, 20))
        store.save_session(SESSION)
    return path


def test_a_store_that_nobody_has_open_is_read_and_left_as_it_was(path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with StoreView(path) as view:
        assert view.tokens(["a", "b", "a"]) == {"a": StoredTokens(10, 20)}
        assert view.sessions() == [SESSION]
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_writer_that_holds_the_write_lock_neither_waits_nor_is_waited_for(path: Path) -> None:
    with Store(path) as store:
        store.put("b", Completion("text", "stop", 1, 2))
        writer = sqlite3.connect(path, isolation_level=None, timeout=0)
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute(INSERT, completion_row("c", Completion("", "")))
        with StoreView(path) as view:
            # What is not committed is not there.
            assert set(view.tokens("abc")) == {"a", "b"}
            writer.execute("COMMIT")
            assert set(view.tokens("abc")) == {"a", "b", "c"}
            # The reader is still there: the next write does not wait either.
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
        writer.close()


def test_a_stored_request_without_a_text_has_its_reason(path: Path) -> None:
    blocked = Completion("", "", missing_reason="the filter", details={"settled": True}, outcome=Outcome.BLOCKED)
    with Store(path) as store:
        store.put("b", blocked)
    with StoreView(path) as view:
        assert view.tokens("ab") == {"a": StoredTokens(10, 20), "b": StoredTokens(0, 0, "the filter")}


def test_many_keys_are_looked_up_in_parts(path: Path) -> None:
    keys = [f"k{i}" for i in range(1_200)]
    with Store(path) as store:
        store.put_all([(key, Completion("", "stop", 1, i)) for i, key in enumerate(keys)])
    with StoreView(path) as view:
        found = view.tokens(keys)
    assert [found[key].answer for key in keys] == list(range(1_200))


def test_no_store_has_nothing_in_it_and_none_is_made(tmp_path: Path) -> None:
    with StoreView(tmp_path / "none.sqlite") as view:
        assert (view.tokens(["a"]), view.sessions()) == ({}, [])
    assert list(tmp_path.iterdir()) == []


def test_a_store_whose_tables_a_run_is_still_making_has_nothing_in_it(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    run = sqlite3.connect(path, isolation_level=None)
    # What `opened_store` does before the tables, and then an open transaction that makes them.
    for statement in ("PRAGMA user_version", "PRAGMA journal_mode=WAL", "BEGIN IMMEDIATE", TABLES[0]):
        run.execute(statement).fetchall()
        with StoreView(path) as view:
            assert (view.tokens(["a"]), view.sessions(), view.served()) == ({}, [], set())
    run.close()
    with Store(path) as store:
        store.put("a", Completion("text", "stop", 10, 20))
        with StoreView(path) as view:
            assert view.tokens(["a"]) == {"a": StoredTokens(10, 20)}


def test_a_torn_store_names_itself_and_the_remedy(path: Path) -> None:
    path.write_bytes(os.urandom(4_096))
    with pytest.raises(StoreError, match=r"store\.sqlite: cannot be read as a store .*store mend.*restore a copy"):
        StoreView(path)
    path.write_bytes(b"SQLite format 3\0" + b"\0" * 50)
    with pytest.raises(StoreError, match="cannot be read as a store"):
        StoreView(path)


def test_a_database_of_another_schema_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE completions (name TEXT)")
    other.close()
    with pytest.raises(
        StoreError, match=r"other\.sqlite: is a database, but no store of this project .*no such column"
    ):
        StoreView(path)
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE plays (name TEXT)")
    other.close()
    with pytest.raises(StoreError, match="no such table"):
        StoreView(path)


def test_the_served_models_of_some_requests_are_those_of_their_answers(path: Path) -> None:
    with Store(path) as store:
        for key, fingerprint in (("b", "fp_1"), ("c", "fp_2"), ("d", None)):
            details = {"model": "m", "system_fingerprint": fingerprint}
            store.put(key, Completion("text", "stop", 1, 1, details=details))
    with StoreView(path) as view:
        assert view.served() == {("m", "fp_1"), ("m", "fp_2"), ("m", "")}
        assert view.served(["b", "a", "not there"]) == {("m", "fp_1")}
        assert view.served([f"other {i}" for i in range(600)] + ["c"]) == {("m", "fp_2")}
        assert view.served([]) == set()
