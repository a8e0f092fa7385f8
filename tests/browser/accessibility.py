"""axe, the checker of accessibility, run in a page of a browser."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

# With `make setup`: it is in requirements.lock, as its file alone is used.
AXE = files("axe_playwright_python") / "axe.min.js"
# What passes is not described, which takes longer than to find what does not.
FIND = "axe.run({resultTypes: ['violations']}).then(found => found.violations)"


def serious_findings(page: Page) -> list[str]:
    """What axe calls serious or critical on a page as it is now: the rule, the place, its beginning."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return [
        f"{rule['id']} ({rule['impact']}) at {node['target']}: {node['html'][:120]}"
        for rule in page.evaluate(FIND)
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
