"""BeaverTails (PKU-Alignment): JSON lines of `prompt, response, category {flag: bool} x 14, is_safe`."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import joined_categories, prompt_id
from refusal_stability.prompts.source import prompt_source
from refusal_stability.records import Prompt, StudyError
from refusal_stability.tables.user_files import UserRow, read_rows

NAME = "beavertails"
URL = "https://huggingface.co/datasets/PKU-Alignment/BeaverTails/resolve/main/round0/330k/train.jsonl.xz"
# The size of the published design.
PUBLISHED_SIZE = 876
CATEGORIES = (
    "animal_abuse",
    "child_abuse",
    "controversial_topics,politics",
    "discrimination,stereotype,injustice",
    "drug_abuse,weapons,banned_substance",
    "financial_crime,property_crime,theft",
    "hate_speech,offensive_language",
    "misinformation_regarding_ethics,laws_and_safety",
    "non_violent_unethical_behavior",
    "privacy_violation",
    "self_harm",
    "sexually_explicit,adult_content",
    "terrorism,organized_crime",
    "violence,aiding_and_abetting,incitement",
)


@prompt_source(NAME, url=URL, limit=PUBLISHED_SIZE)
def beavertails_prompts(path: Path, _: PromptParams) -> list[Prompt]:
    """The prompt of every row that annotators marked as not safe, in the file's order, repeats included."""
    prompts = []
    for row in read_rows(path, ["prompt", "category", "is_safe"], "prompts.source"):
        safe = row.values["is_safe"]
        if not isinstance(safe, bool):
            raise row.error("is_safe", f"holds {safe!r}; true or false is expected")
        if not safe:
            text = row.text("prompt")
            prompts.append(Prompt(prompt_id(text), text, _raised_flags(row), NAME, harm="harmful"))
    return prompts


def _raised_flags(row: UserRow) -> str:
    flags = row.values["category"]
    if not isinstance(flags, dict) or not set(flags) <= set(CATEGORIES):
        raise _not_beavertails(row, flags)
    return joined_categories(c for c in CATEGORIES if flags.get(c))


def _not_beavertails(row: UserRow, flags: object) -> StudyError:
    found = ", ".join(f for f in flags if f not in CATEGORIES) if isinstance(flags, dict) else type(flags).__name__
    return row.error("category", f"expected BeaverTails' 14 flags, found {found}; read other files with source `table`")
