"""The built-in starter set, written for this project (docs/data-card.md)."""

from __future__ import annotations

import csv
from pathlib import Path

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import prompt_id
from refusal_stability.prompts.source import prompt_source
from refusal_stability.records import Prompt

BUILTIN_FILE = Path(__file__).with_name("builtin.csv")
HARMLESS = "harmless"


def builtin_prompts() -> list[Prompt]:
    """Five short requests for each BeaverTails category, each five followed by a harmless look-alike."""
    with BUILTIN_FILE.open(encoding="utf-8", newline="") as file:
        rows = [{"text": row.pop("prompt")} | row for row in csv.DictReader(file)]
    return [Prompt(prompt_id(row["text"]), **row) for row in rows]


@prompt_source("builtin", has_file=False)
def read(_: Path, __: PromptParams) -> list[Prompt]:
    """The built-in set; it has no file of the user's and no options."""
    return builtin_prompts()
