"""HarmBench text behaviours: CSV with `Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID`."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import joined_categories, prompt_id
from refusal_stability.prompts.source import prompt_source
from refusal_stability.records import Prompt
from refusal_stability.tables.user_files import read_rows

NAME = "harmbench"
URL = (
    "https://raw.githubusercontent.com/centerforaisafety/HarmBench/main/"
    "data/behavior_datasets/harmbench_behaviors_text_all.csv"
)
CONTEXT_BREAK = "\n\n---\n\n"


@prompt_source(NAME, url=URL)
def harmbench_prompts(path: Path, _: PromptParams) -> list[Prompt]:
    """Each behaviour with its semantic category.

    A contextual behaviour refers to its context, so the context stands before it, followed by a line of three dashes.
    HarmBench itself sends it to a model in this form.
    """
    prompts = []
    for row in read_rows(path, ["Behavior", "SemanticCategory", "ContextString"], "prompts.source"):
        behaviour, context = row.text("Behavior"), row.text("ContextString")
        text = f"{context}{CONTEXT_BREAK}{behaviour}" if context and behaviour.strip() else behaviour
        category = joined_categories([row.text("SemanticCategory")])
        prompts.append(Prompt(prompt_id(text), text, category, NAME, harm="harmful"))
    return prompts
