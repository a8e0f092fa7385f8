"""The explorer in a headless browser: a study of 70,080 responses opened, filtered, and looked into.

Every round starts a new server and a new browser, with nothing cached; needs Chromium or Chrome.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness import Finding, main, run_child, skipped, stage_command, surroundings
from recorded_studies import lay_out, stage_commands

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPEN_SECONDS = 1.2
OPEN_BOUND = (
    "An empty Streamlit page loads 65 files. This page loads 46 more, and begins with them only when the server's "
    "first answer names what it shows: text field, choosers, slider (a date library is among its files), list, "
    "buttons. In one run at a load of 20, with 800 responses, the empty part took 1.2 s of 2.5 s. The first answer "
    "came 0.6 s later, and the 46 files took 0.6 s. Only filters written as one form of this project's own would save "
    "most of these."
)
WAIT_MS = 60_000
SOUGHT = "number 7"
STAGES = ("prompts", "generate", "judge", "metrics")
READY, OPEN, AGAIN = "from command to server", "first page, to the drawn list", "page opened again, to the drawn list"
FILTER, WORDS = "a filter, to the new count", "words searched, to the new count"
PROMPT, RESPONSE = "a prompt clicked, to its grids", "a decision clicked, to its verdicts"


def measure(quick: bool) -> list[Finding]:
    """Seconds from what a person does to what the person sees."""
    n_prompts, models = (20, 2) if quick else (876, 4)
    rows = f"{n_prompts * models * 20:,} responses"
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if binary is None:
        return [skipped(f"{rows}: {OPEN}", "s", "no Chromium here", OPEN_SECONDS)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "study"
        names = lay_out(folder, n_prompts, models, n_resamples=100)
        for stage, arguments in stage_commands(names).items():
            if stage.split()[0] in STAGES:
                run_child(stage_command(*arguments), folder)
        rounds = [look(folder, binary, n_prompts * models) for _ in range(1 if quick else 5)]
    bars = {OPEN: OPEN_SECONDS, AGAIN: OPEN_SECONDS}
    return [
        Finding(f"{rows}: {what}", [r[what] for r in rounds], "s", bars.get(what), bound=OPEN_BOUND)
        for what in rounds[0]
    ]


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, float]]:
    """The explorer's address, and the seconds until it answered."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = stage_command("explore", "--headless", "--port", str(port))
    start = time.perf_counter()
    server = subprocess.Popen(
        command,
        cwd=folder,
        env=surroundings(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while server.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}", time.perf_counter() - start
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def look(folder: Path, binary: str, n_rows: int) -> dict[str, float]:
    """One round: seconds by what was done."""
    from playwright.sync_api import sync_playwright

    with serving(folder) as (address, ready), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1400})
        page.set_default_timeout(WAIT_MS)
        count = page.get_by_text(f" of {n_rows:,} rows")
        everything = page.get_by_text(f"{n_rows:,} of {n_rows:,} rows")

        def opened() -> None:
            page.goto(address)
            count.wait_for()
            page.locator(".prompts td button").first.wait_for()
            # The filters too: the page is there when all of it is.
            page.get_by_role("combobox", name="Order").wait_for()

        found = {READY: ready, OPEN: seconds(opened), AGAIN: seconds(opened)}
        page.wait_for_timeout(1000)
        page.get_by_role("combobox", name="Flip").click()
        page.get_by_role("option", name="flipped", exact=True).click(trial=True)
        page.get_by_role("option", name="flipped", exact=True).click(no_wait_after=True)
        found[FILTER] = seconds(lambda: everything.wait_for(state="detached"))
        page.get_by_label("Words in the prompt").fill(SOUGHT)
        page.wait_for_timeout(1000)
        before = count.inner_text()
        page.get_by_label("Words in the prompt").press("Enter")
        found[WORDS] = seconds(lambda: page.get_by_text(before, exact=True).wait_for(state="detached"))
        page.wait_for_timeout(1000)
        found |= look_into(page)
        browser.close()
    return found


def look_into(page: Any) -> dict[str, float]:
    """Open a prompt from the list, then one of its responses."""
    page.locator(".prompts tr[data-prompt]").first.click()
    found = {PROMPT: seconds(lambda: page.locator(".grids button").first.wait_for())}
    page.wait_for_timeout(1000)
    page.locator(".grids button").first.click()
    found[RESPONSE] = seconds(lambda: page.locator("ul.verdicts").wait_for())
    return found


def seconds(work: Any) -> float:
    """How long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main("explorer", __doc__, measure, ("streamlit", "playwright", "pyarrow"))
