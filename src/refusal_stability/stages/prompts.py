"""Stage `prompts`: a prompt source becomes data/prompts/prompts.csv."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from refusal_stability.files import PROMPTS
from refusal_stability.params.load import load_params
from refusal_stability.plain_text import visible_line
from refusal_stability.prompts.identity import categories_of
from refusal_stability.prompts.load import load_prompts
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.study import PROMPT_TABLE, prompt_table


def run(params_path: Path) -> None:
    """Read the study's prompts, write them, and say how many each category has."""
    params = load_params(params_path)
    prompts = load_prompts(params.prompts, tell=print)
    write_table(prompt_table(prompts), PROMPTS, PROMPT_TABLE)
    counts = Counter(c for prompt in prompts for c in categories_of(prompt))
    number = f"{len(prompts)} prompt{'' if len(prompts) == 1 else 's'}"
    print(f"{number} in {PROMPTS}: {visible_line('; '.join(f'{c} {n}' for c, n in counts.items()))}")
