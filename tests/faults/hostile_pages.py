"""Texts that would do harm as anything but text, wherever a report shows text, in a real browser.

The explorer's and MLflow's pages are held to the same by the tests in `tests/browser`, which this family runs too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from hostile_report import HOSTILE, report_of

from refusal_stability.report.html import html_report

BAD = {"ran", "called out", "raw control characters", "not shown", "test failed"}
ROOT = Path(__file__).resolve().parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CALL = "window.harmed = (window.harmed || 0) + 1"
SOURCES = ("x", "http://127.0.0.1:9/leak.png", "//127.0.0.1:9/leak", "data:text/html,<script>parent.harmed=1</script>")
RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
PAGES = (
    ("explorer", "tests/browser/test_explorer.py", "other_peoples_texts or every_kind_of_response or another_site"),
    ("MLflow", "tests/browser/test_mlflow.py", "what_a_model_wrote or asked_nobody"),
)


def texts() -> list[str]:
    """Texts of every kind: scripts, handlers, addresses, styles, frames, template marks, controls."""
    found = list(HOSTILE)
    found += [f"<script>{CALL}</script>", f"<SCRIPT>{CALL}//", f"</script><script>{CALL}</script>"]
    found += [f"<svg/onload={CALL}>", f"<body onload={CALL}>", f"<details open ontoggle='{CALL}'>x</details>"]
    found += [f"<{tag} src='{source}' onerror='{CALL}'>" for tag in ("img", "video", "audio") for source in SOURCES]
    found += [f"<{tag} src='{source}'></{tag}>" for tag in ("iframe", "script", "embed") for source in SOURCES]
    found += [f'" onmouseover="{CALL}" x="', f"' autofocus onfocus='{CALL}' x='", f"--><script>{CALL}</script><!--"]
    found += [f"<a href='javascript:{CALL}'>x</a>", f"[x](javascript:{CALL})", "![x](http://127.0.0.1:9/leak.png)"]
    found += ["<style>@import 'http://127.0.0.1:9/leak.css'</style>", "<link rel=stylesheet href=//127.0.0.1:9/leak>"]
    found += ["<base href='http://127.0.0.1:9/'>", "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>"]
    found += [
        f"<math><mtext><script>{CALL}</script></mtext></math>",
        f"<template><img src=x onerror={CALL}></template>",
    ]
    found += [
        "<form action=http://127.0.0.1:9/><button autofocus>",
        "]]><script>x</script>",
        "&lt;script&gt;",
        "&#60;b&#62;",
    ]
    found += ["{{ 7 * 7 }}", "{% include '/etc/passwd' %}", "${7*7}", "#{7*7}", "<%= 7*7 %>"]
    found += [f"a{mark}b" for mark in "\x00\x07\x08\x1b\x7f\x9b\u200b\u200e\u202e\u2066\ufeff\u2028"]
    return [*found, "\x1b]8;;http://127.0.0.1:9\x07link\x1b]8;;\x07", "\x1b[2J\x1b[31mred", '=HYPERLINK("http://x")']


def run(folder: Path) -> Counter[str]:
    """Counts of texts, and of what one of them did."""
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if binary is None:
        print(f"browser: skipped: none of {', '.join(BROWSERS)} is installed", file=sys.stderr)
        return Counter()
    counts = _in_a_report(binary, texts(), folder)
    counts["texts in a report"] = len(texts())
    for name, file, chosen in PAGES:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file, "-k", chosen],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        counts[f"tests of {name}"] += len(re.findall(r"\.", done.stdout.partition("[100%]")[0]))
        counts["test failed"] += done.returncode != 0
        if done.returncode:
            print(f"browser: {name}: {done.stdout[-1500:]}", flush=True)
    return counts


def _in_a_report(binary: str, shown: list[str], folder: Path) -> Counter[str]:
    from playwright.sync_api import sync_playwright

    file, page_text = folder / "report.html", html_report(report_of(*shown))
    file.write_text(page_text, encoding="utf-8")
    counts: Counter[str] = Counter()
    counts["raw control characters"] += len(RAW.findall(page_text))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (counts.update(["ran"]), dialog.dismiss()))
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        counts["ran"] += int(page.evaluate("window.harmed || 0"))
        counts["called out"] += sum(not url.startswith(("data:", file.as_uri())) for url in asked)
        counts["not shown"] += _not_shown(page, shown)
        browser.close()
    return counts


def _not_shown(page: Any, shown: list[str]) -> int:
    """How many of the texts without invisible characters do not stand in the page as they are."""
    body = " ".join(page.locator("body").text_content().split())
    plain = [text for text in shown if text.isprintable()]
    return sum(" ".join(text.split()) not in body for text in plain)
