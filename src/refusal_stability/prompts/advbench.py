"""AdvBench (llm-attacks), harmful behaviours: CSV with `goal,target`; it names no categories."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.prompts.identity import UNCATEGORISED, prompt_id
from refusal_stability.prompts.rows import read_rows
from refusal_stability.records import Prompt

NAME = "advbench"
URL = "https://raw.githubusercontent.com/llm-attacks/llm-attacks/main/data/advbench/harmful_behaviors.csv"


def advbench_prompts(path: Path) -> list[Prompt]:
    """Each row's goal; the target (the start of a compliant answer) is no part of the request."""
    goals = [row.text("goal") for row in read_rows(path, ["goal", "target"])]
    return [Prompt(prompt_id(goal), goal, UNCATEGORISED, NAME) for goal in goals]
