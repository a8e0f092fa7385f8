"""AdvBench (llm-attacks), harmful behaviours: CSV with `goal,target`; it names no categories."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import UNCATEGORISED, prompt_id
from refusal_stability.prompts.source import prompt_source
from refusal_stability.records import Prompt
from refusal_stability.tables.user_files import read_rows

NAME = "advbench"
URL = "https://raw.githubusercontent.com/llm-attacks/llm-attacks/main/data/advbench/harmful_behaviors.csv"


@prompt_source(NAME, url=URL)
def advbench_prompts(path: Path, _: PromptParams) -> list[Prompt]:
    """Each row's goal. The target (the start of a compliant answer) is not part of the request."""
    goals = [row.text("goal") for row in read_rows(path, ["goal", "target"], "prompts.source")]
    return [Prompt(prompt_id(goal), goal, UNCATEGORISED, NAME, harm="harmful") for goal in goals]
