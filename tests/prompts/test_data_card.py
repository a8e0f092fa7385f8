"""The data card says what the built-in set holds and where each benchmark is fetched from."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from refusal_stability.prompts.load import registered_sources
from refusal_stability.prompts.sources.builtin import HARMLESS, builtin_prompts


def test_the_card_counts_every_category_of_the_built_in_set(root: Path) -> None:
    card = (root / "docs" / "data-card.md").read_text(encoding="utf-8")
    stated = {name: int(count) for name, count in re.findall(r"^\| `([^`]+)` \| (\d+) \|", card, re.MULTILINE)}
    held = Counter(p.category for p in builtin_prompts())
    assert stated == {name: count for name, count in held.items() if name != HARMLESS}
    assert f"| **together** | **{sum(stated.values())}** | **{held[HARMLESS]}** |" in card


def test_the_card_has_a_section_for_every_benchmark_with_its_file_and_limit(root: Path) -> None:
    card = (root / "docs" / "data-card.md").read_text(encoding="utf-8")
    for name, source in registered_sources().items():
        if source.url is not None:
            section = card.split(f"`source: {name}`")[1].split("\n## ")[0]
            assert source.url.split("/main/")[1] in section
            assert "Licence: " in section
            assert source.limit is None or str(source.limit) in section
