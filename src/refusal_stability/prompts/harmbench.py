"""HarmBench text behaviours: CSV with `Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID`."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.prompts.identity import UNCATEGORISED, prompt_id
from refusal_stability.prompts.rows import read_rows
from refusal_stability.records import Prompt

NAME = "harmbench"
URL = (
    "https://raw.githubusercontent.com/centerforaisafety/HarmBench/main/"
    "data/behavior_datasets/harmbench_behaviors_text_all.csv"
)
CONTEXT_BREAK = "\n\n---\n\n"


def harmbench_prompts(path: Path) -> list[Prompt]:
    """Each behaviour with its semantic category.

    A contextual behaviour makes no sense without its context, so the context stands before it, set off by a line of
    three dashes: the form in which HarmBench itself puts it to a model.
    """
    prompts = []
    for row in read_rows(path, ["Behavior", "SemanticCategory", "ContextString"]):
        behaviour, context = row.text("Behavior"), row.text("ContextString")
        text = f"{context}{CONTEXT_BREAK}{behaviour}" if context and behaviour.strip() else behaviour
        prompts.append(Prompt(prompt_id(text), text, row.text("SemanticCategory") or UNCATEGORISED, NAME))
    return prompts
