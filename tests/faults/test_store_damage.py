"""A damaged store: nothing wrong is read, what is lost is said, the rest is kept."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
import store_damage
from store_damage import ALL, make_store
from typer.testing import CliRunner

from refusal_stability.commands.store import app
from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.store import Store, StoreError
from refusal_stability.engines.store_check import check_store
from refusal_stability.engines.store_file import EVERY_BYTE, has_all_values, is_whole
from refusal_stability.engines.store_view import StoreView
from refusal_stability.records import Completion, Message, Request, Sampling


def test_random_damage_is_never_silent_and_mending_keeps_the_rest(tmp_path: Path) -> None:
    counts = store_damage.run(seed=20261129, rounds=28, folder=tmp_path)
    assert not counts.keys() & store_damage.BAD
    assert counts["dropped, said"] > 0
    assert counts["rows kept by mending"] > 24 * 200


def test_a_row_of_another_table_is_no_row_of_an_older_program() -> None:
    # As SQLite reads a page of `claims` that stands where one of `completions` was.
    assert not has_all_values(("a key", "an owner", *[None] * 7))
    assert has_all_values(("a key", "a text", "stop", 1, 2, "{}", "", "", None))
    # A row of today's stores has a checksum: one without is damaged.
    assert not is_whole(("a key", "a text", "stop", 1, 2, "{}", "", "", None))


def rewrite_text(path: Path, key: str, text: str) -> None:
    """What bit rot does, where one knows the row."""
    with sqlite3.connect(path) as database:
        database.execute("UPDATE completions SET text = ? WHERE key = ?", (text, key))
    database.close()


class Server:
    """An engine that answers with its prompt, and writes down what it was sent."""

    def __init__(self) -> None:
        self.identity = {"engine": "echo"}
        self.description: dict[str, str] = {}
        self.sent: list[str] = []

    def complete(self, requests: Sequence[Request]):
        for position, request in enumerate(requests):
            self.sent.append(request.messages[-1].content)
            yield position, Completion(f"echo {self.sent[-1]}", "stop", 1, 2)

    def close(self) -> None:
        """Nothing to release."""


def asked(count: int) -> list[Request]:
    return [Request((Message("user", str(i)),), Sampling(1.0, 0, 0)) for i in range(count)]


@pytest.mark.parametrize("damage", ["text", "checksum gone"])
def test_a_damaged_row_is_generated_again_and_said_in_one_line_and_the_rest_is_kept(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, server = tmp_path / "store.sqlite", Server()
    with Store(path) as store:
        first = complete_stored(server, asked(5), store, "m")
        (key,) = [k for (k,) in store._database.execute("SELECT key FROM completions WHERE text = 'echo 3'")]
    if damage == "text":
        rewrite_text(path, key, "echo 4")
    else:
        with sqlite3.connect(path) as database:
            database.execute("UPDATE completions SET checksum = NULL WHERE key = ?", (key,))
        database.close()
    assert check_store(path).damaged == [key]
    with StoreView(path) as view:
        assert view.tokens([key]) == {}
    with Store(path) as store:
        capsys.readouterr()
        assert complete_stored(server, asked(5), store, "m") == first
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert said == [
        f"warning: {path}: 1 damaged rows dropped; "
        "what this study needs of them is generated again, all others are kept"
    ]
    assert server.sent == ["0", "1", "2", "3", "4", "3"]
    assert check_store(path).whole == 5


def test_a_log_that_is_gone_after_a_kill_is_said_and_after_an_orderly_end_it_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "store.sqlite"
    code = (
        "import os, sys; from pathlib import Path; from refusal_stability.engines.store import Store; "
        "from refusal_stability.records import Completion; store = Store(Path(sys.argv[1])); "
        "store.put('a', Completion('x', 'stop')); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    path.with_name("store.sqlite-wal").unlink()
    path.with_name("store.sqlite-shm").unlink()
    for said in ("store.sqlite-wal: not there, although the previous run was killed", ""):
        with Store(path):
            assert said in (err := capsys.readouterr().err)
            assert bool(err) == bool(said)


def test_an_empty_file_is_said_and_its_log_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "store.sqlite"
    path.touch()
    with Store(path):
        assert "an empty file: nothing is stored in it" in capsys.readouterr().err
    make_store(tmp_path / "whole.sqlite", log=True)
    log = (tmp_path / "whole.sqlite-wal").rename(tmp_path / "store.sqlite-wal").read_bytes()
    path.write_bytes(b"")
    for use in (Store, check_store):
        with pytest.raises(StoreError, match=r"an empty file, although its log store\.sqlite-wal is none"):
            use(path)
    assert (tmp_path / "store.sqlite-wal").read_bytes() == log


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.executescript("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
    before = path.read_bytes()
    for use in (Store, check_store):
        with pytest.raises(StoreError, match="a database of another program, and no store; nothing was written"):
            use(path)
    assert path.read_bytes() == before


def test_two_names_of_one_store_send_no_request_twice(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "elsewhere/real.sqlite")
    with Store(tmp_path / "link.sqlite") as one, Store(tmp_path / "elsewhere/real.sqlite") as other:
        assert one.claim(["a", "b"]) == ["a", "b"]
        assert other.claim(["a", "b", "c"]) == ["c"]


def test_a_store_of_a_newer_program_is_left_alone_and_says_what_to_update(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    make_store(path, log=False)
    for edition, words in (
        (3 * EVERY_BYTE, "newer version.*edition 3.*update the program"),
        (3, "damaged.*store mend"),
    ):
        with sqlite3.connect(path) as database:
            database.execute(f"PRAGMA user_version = {edition}")
        database.close()
        before = path.read_bytes()
        for opens in (Store, StoreView):
            with pytest.raises(StoreError, match=words):
                opens(path)
        assert path.read_bytes() == before


def test_the_commands_check_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    make_store(path, log=False)
    option = ["--store", str(path)]
    assert f"all {len(ALL)} completions are as they were written" in CliRunner().invoke(app, ["check", *option]).output
    rewrite_text(path, next(iter(ALL)), "another text")
    checked = CliRunner().invoke(app, ["check", *option])
    assert checked.exit_code == 1
    assert f"1 of {len(ALL)} completions" in str(checked.exception)
    with Store(path), pytest.raises(StoreError, match="a run has it open"):
        CliRunner().invoke(app, ["mend", *option], catch_exceptions=False)
    mended = CliRunner().invoke(app, ["mend", *option])
    assert f"{len(ALL) - 1} completions kept; the damaged file is {path}.damaged" in mended.output
    assert CliRunner().invoke(app, ["check", *option]).exit_code == 0
    with Store(path) as store:
        assert store.find(ALL) == dict(list(ALL.items())[1:])
    missing = CliRunner().invoke(app, ["check", "--store", str(tmp_path / "none")])
    assert "no such file" in str(missing.exception)


def test_a_damaged_definition_of_a_table_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    make_store(path, log=False)
    data = path.read_bytes()
    start = data.index(b"CREATE TABLE completions")
    refused: list[str] = []
    for at in range(start, start + 250, 5):
        path.write_bytes(data[:at] + b"\xa8" + data[at + 1 :])
        for opens in (Store, StoreView):
            try:
                with opens(path) as opened:
                    opened.sessions()
            except StoreError as error:
                refused.append(str(error))
    assert refused
    assert all(message.isprintable() for message in refused)
