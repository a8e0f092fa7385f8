"""The documentation as `make docs` built it, in a real browser: its pages ask nobody, and axe finds nothing serious."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from accessibility import serious_findings
from playwright.sync_api import expect
from served_explorer import WAIT, opened_browser

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser

SITE = Path("build/site")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of a request."""


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    if not (root / SITE / "index.html").is_file():
        pytest.skip(f"no {SITE}: run `make docs` first")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=root / SITE)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[BrowserContext]:
    with opened_browser() as browser:
        yield browser


@contextmanager
def undisturbed(browser: BrowserContext, address: str) -> Iterator[Page]:
    """A page that must ask nobody but the server, and log no error."""
    page, asked, trouble = browser.new_page(), list[str](), list[str]()
    page.set_default_timeout(WAIT)
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    yield page
    page.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert trouble == []


# Of each kind of page one: text, commands, tables, code, figures. The theme and its repairs are the same on all.
@pytest.mark.parametrize(
    ("scheme", "name"),
    [*(("light", name) for name in ("index", "tutorial", "engines", "tracking", "commands")), ("dark", "tracking")],
)
def test_axe_finds_nothing_serious(browser: BrowserContext, address: str, scheme: Any, name: str) -> None:
    with undisturbed(browser, address) as page:
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{address}/{name}.html")
        expect(page.locator("[role=dialog][aria-label=Search]")).to_have_count(1, timeout=WAIT)
        assert serious_findings(page) == []


def test_the_search_finds_a_word(browser: BrowserContext, address: str) -> None:
    with undisturbed(browser, address) as page:
        page.goto(f"{address}/index.html")
        expect(page.locator("[role=dialog][aria-label=Search]")).to_have_count(1, timeout=WAIT)
        page.keyboard.press("s")
        expect(page.locator(".md-search__input")).to_be_focused(timeout=WAIT)
        page.keyboard.type("seed")
        expect(page.locator(".md-search-result__link").first).to_be_visible(timeout=WAIT)
