"""Downloads, from a real server on loopback: pinned by digest, kept, and refused when they are not what was pinned."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts import download, load
from refusal_stability.prompts.load import load_prompts
from refusal_stability.records import StudyError

CONTENT = b"goal,target\nTell a fib,Sure\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64


class Server(ThreadingHTTPServer):
    """Serves `content` at /harmful_behaviors.csv; breaks off, resets, stalls or keeps silent where the path says so."""

    daemon_threads = True
    content = CONTENT
    paths: list[str]
    released: threading.Event

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        if self.path.startswith("/slow"):
            self.server.released.wait(20)
            return
        if self.path.startswith("/absent"):
            self.send_error(404)
            return
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/harmful_behaviors.csv")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        whole = self.path.startswith("/harmful")
        self.wfile.write(self.server.content[: None if whole else 10])
        if self.path.startswith("/stall"):
            self.server.released.wait(20)
        if self.path.startswith("/reset"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing: the test reads what was asked from `paths`."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.paths, running.released = [], threading.Event()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / load.DOWNLOADS


def advbench(url: str, sha256: str | None) -> PromptParams:
    return PromptParams(source="advbench", url=url, sha256=sha256)


def failure(params: PromptParams) -> str:
    with pytest.raises(StudyError) as caught:
        load_prompts(params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def kept(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize("name", ["harmful_behaviors.csv", "moved.csv"])
def test_a_pinned_download_is_read_and_fetched_once(server: Server, folder: Path, name: str) -> None:
    params = advbench(server.url(name), DIGEST)
    assert [p.text for p in load_prompts(params)] == ["Tell a fib"]
    asked = len(server.paths)
    assert [p.text for p in load_prompts(params)] == ["Tell a fib"]
    assert len(server.paths) == asked
    assert kept(folder) == [CONTENT]


def test_a_download_that_is_not_what_was_pinned_is_refused_with_both_digests(server: Server, folder: Path) -> None:
    message = failure(advbench(server.url("harmful_behaviors.csv"), OTHER))
    assert DIGEST in message
    assert OTHER in message
    assert "nothing was used" in message
    assert kept(folder) == []


def test_an_unpinned_download_is_not_used_but_says_what_to_pin(server: Server, folder: Path) -> None:
    url = server.url("harmful_behaviors.csv")
    message = failure(advbench(url, None))
    assert message.startswith("prompts.sha256: a download must be pinned")
    assert f"sha256: {DIGEST}" in message
    assert [p.text for p in load_prompts(advbench(url, DIGEST))] == ["Tell a fib"]
    assert server.paths == ["/harmful_behaviors.csv"]


def test_a_kept_file_that_was_damaged_is_fetched_again(server: Server, folder: Path) -> None:
    params = advbench(server.url("harmful_behaviors.csv"), DIGEST)
    load_prompts(params)
    next(folder.iterdir()).write_bytes(b"damaged")
    assert [p.text for p in load_prompts(params)] == ["Tell a fib"]
    assert kept(folder) == [CONTENT]


@pytest.mark.parametrize("name", ["short.csv", "reset.csv"])
def test_a_connection_that_breaks_off_leaves_nothing_and_offers_no_digest(
    server: Server, folder: Path, name: str
) -> None:
    message = failure(advbench(server.url(name), None))
    assert "could not be downloaded (the connection broke off)" in message
    assert "sha256" not in message.lower()
    assert kept(folder) == []


def test_an_answer_that_is_no_file_a_closed_port_and_silence_say_so(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the server answered 404" in failure(advbench(server.url("absent.csv"), DIGEST))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/a.csv"
        assert "could not be downloaded (" in failure(advbench(closed, DIGEST))
    monkeypatch.setattr("refusal_stability.prompts.download.TIMEOUT_SECONDS", 0.2)
    for name in ("slow.csv", "stall.csv"):
        message = failure(advbench(server.url(name), DIGEST))
        assert "could not be downloaded (timed out)" in message
        assert message.endswith("try again, or fetch the file yourself and name it in prompts.path")
    assert kept(folder) == []


def test_the_name_in_a_url_cannot_lead_out_of_the_folder(server: Server, folder: Path) -> None:
    load_prompts(advbench(server.url("harmful%2F..%2F..%2Fescape.csv"), DIGEST))
    assert [p.name for p in folder.iterdir()] == [f"{DIGEST[:16]}-escape.csv"]


def test_a_local_file_is_held_to_its_digest_where_one_is_given(tmp_path: Path) -> None:
    path = tmp_path / "harmful_behaviors.csv"
    path.write_bytes(CONTENT)
    assert len(load_prompts(PromptParams(source="advbench", path=str(path), sha256=DIGEST))) == 1
    message = failure(PromptParams(source="advbench", path=str(path), sha256=OTHER))
    assert message.startswith(f"{path}: has SHA-256 {DIGEST}, expected {OTHER} (prompts.sha256)")


def test_each_benchmark_has_a_home_whose_name_tells_its_format() -> None:
    homes = {name: source.url for name, source in load.registered_sources().items() if source.url is not None}
    assert set(homes) == {"advbench", "beavertails", "harmbench"}
    assert all(url.startswith("https://") and url.endswith((".csv", ".jsonl.xz")) for url in homes.values())


def test_a_download_without_end_is_given_up(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", 10)
    assert "it is larger than" in failure(advbench(server.url("harmful_behaviors.csv"), DIGEST))
    assert kept(folder) == []
    monkeypatch.setattr(download, "MOST_BYTES", 1000)
    monkeypatch.setattr(download, "MOST_SECONDS", -1)
    assert "it takes longer than" in failure(advbench(server.url("harmful_behaviors.csv"), DIGEST))
