"""The data card says what the built-in set holds and where each benchmark is fetched from."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from refusal_stability.prompts.builtin import HARMLESS, builtin_prompts
from refusal_stability.prompts.load import BENCHMARKS, DEFAULT_LIMITS


def test_the_card_counts_every_category_of_the_built_in_set(root: Path) -> None:
    card = (root / "docs" / "data-card.md").read_text(encoding="utf-8")
    stated = {name: int(count) for name, count in re.findall(r"^\| `([^`]+)` \| (\d+) \|", card, re.MULTILINE)}
    held = Counter(p.category for p in builtin_prompts())
    assert stated == {name: count for name, count in held.items() if name != HARMLESS}
    assert f"| **together** | **{sum(stated.values())}** | **{held[HARMLESS]}** |" in card


def test_the_card_has_a_section_for_every_benchmark_with_its_file_and_limit(root: Path) -> None:
    card = (root / "docs" / "data-card.md").read_text(encoding="utf-8")
    for name, (_, url) in BENCHMARKS.items():
        section = card.split(f"`source: {name}`")[1].split("\n## ")[0]
        assert url.split("/main/")[1] in section
        assert "Licence: " in section
    assert str(DEFAULT_LIMITS["beavertails"]) in card
