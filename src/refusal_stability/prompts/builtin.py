"""The built-in starter set, written for this project (docs/data-card.md)."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.prompts.identity import prompt_id
from refusal_stability.prompts.rows import read_rows
from refusal_stability.records import Prompt

BUILTIN_FILE = Path(__file__).with_name("builtin.csv")
HARMLESS = "harmless"


def builtin_prompts() -> list[Prompt]:
    """Five short requests for each BeaverTails category, each five followed by a harmless look-alike."""
    rows = [row.values for row in read_rows(BUILTIN_FILE, ["prompt", "category", "source"])]
    return [Prompt(prompt_id(r["prompt"]), r["prompt"], r["category"], r["source"]) for r in rows]
