"""The explorer behind its own command, and a browser whose pages may ask nobody else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from connections import watching
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT = 60_000
SIZE: Any = {"width": 1500, "height": 1700}
EMPTY = "about:blank"


@contextmanager
def serving(folder: Path, log: Path) -> Iterator[str]:
    """The explorer on a free port of loopback, started by its own command; what it says goes into `log`."""
    process, port = _started(folder, log)
    try:
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                break
            if process.poll() is not None:
                # Somebody else may have taken the port meanwhile.
                assert "is taken" in log.read_text(), log.read_text()[-2000:]
                process, port = _started(folder, log)
            time.sleep(0.2)
        else:
            raise AssertionError(log.read_text()[-2000:])
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _started(folder: Path, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "refusal_stability.cli", "explore", "--headless", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=watching(log.with_suffix(".connections")),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process, port


@contextmanager
def opened_browser(**options: Any) -> Iterator[BrowserContext]:
    """A browser whose pages share their cache, on the disk as a person's do: scripts are compiled once.

    Nothing moves in its pages, which costs much where no graphics card draws; pages of `reduced_motion="no-preference"`
    are drawn with what moves.
    """
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if binary is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed; e.g. apt-get install chromium")
    settings: dict[str, Any] = {"viewport": SIZE, "reduced_motion": "reduce", **options}
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile, sync_playwright() as playwright:
        running = playwright.chromium.launch_persistent_context(
            profile, executable_path=binary, args=["--no-sandbox"], **settings
        )
        yield running
        running.close()


@dataclass(frozen=True)
class Tab:
    """A page of a browser, the addresses that it asked for, and what it ran of a text or logged as an error."""

    page: Page
    asked: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


def open_tab(browser: BrowserContext) -> Tab:
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    tab = Tab(page)
    set_trap(page, tab.trouble)
    page.on("request", lambda request: tab.asked.append(request.url))
    page.on("websocket", lambda websocket: tab.asked.append(websocket.url))
    page.on("console", lambda message: tab.trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: tab.trouble.append(str(error)))
    page.on("dialog", lambda dialog: (tab.trouble.append(dialog.message), dialog.dismiss()))
    return tab


@contextmanager
def careful(tab: Tab, address: str) -> Iterator[Page]:
    """The tab's page, which must ask nobody but the server, run nothing of a text, and log no error.

    Tests share the tab, and each loads its pages anew: what a page needs is then compiled once.
    """
    page = tab.page
    if page.url != EMPTY:
        # An earlier test failed, and its page is still there.
        page.goto(EMPTY)
    tab.asked.clear()
    tab.trouble.clear()
    page.set_viewport_size(SIZE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.mouse.move(0, 0)
    yield page
    assert page.locator("img[src='x'], img[src*=leak], a[href*=javascript], a[href*=leak]").count() == 0
    page.goto(EMPTY)
    ours = (address, address.replace("http", "ws"), EMPTY, "data:", "blob:")
    assert [url for url in tab.asked if not url.startswith(ours)] == []
    assert tab.trouble == []


def set_trap(page: Page, caught: list[str]) -> None:
    """Note whatever a text runs in the page, on every address that it visits."""
    page.expose_function("caught", lambda what: caught.append(what))
    page.add_init_script("Object.defineProperty(window, 'harmed', {set(value) { caught(`harmed ${value}`) }})")


def visit(page: Page, address: str, **query: str) -> None:
    """Open the explorer and wait for its list."""
    page.goto(f"{address}/?{urlencode(query)}" if query else address)
    page.get_by_text(re.compile(r"of \d+ rows")).wait_for()
    page.locator(".prompts td button").first.wait_for()
    settled(page)


def settled(page: Page) -> None:
    """Wait until the server has nothing more to show."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def cell(page: Page, key: str) -> Locator:
    return page.locator(f"button[data-key='{key}']")


def quickly_measured(study: Path) -> str:
    """A study file with few resamples, where no test looks at how exact an interval is."""
    text, n_found = re.subn(r"(?m)^  n_resamples: \d+$", "  n_resamples: 200", study.read_text(encoding="utf-8"))
    assert n_found == 1, study
    return text


def holds(page: Page, check: Callable[[], bool]) -> None:
    """Wait until it holds: the page may still be laid out."""
    for _ in range(WAIT // 100):
        if check():
            return
        page.wait_for_timeout(100)
    assert check()
