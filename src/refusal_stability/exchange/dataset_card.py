"""The dataset card of an export: what the files hold, how to load them, and what they may be used for."""

from __future__ import annotations

from collections.abc import Iterable

from refusal_stability.exchange.response_table import LABELS_MEANING, RESPONSE_COLUMNS
from refusal_stability.params.study import StudyParams

SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}


def dataset_card(params: StudyParams, n_responses: int, n_prompts: int, tables: Iterable[str]) -> str:
    """The card as Markdown, with the header that dataset hubs read."""
    size = next((text for limit, text in SIZES.items() if n_responses < limit), "n>1M")
    judges = [name for name, judge in params.judging.judges.items() if not judge.on_call]
    columns = {name: meaning for name, (_, meaning) in RESPONSE_COLUMNS.items()} | {"labels": LABELS_MEANING}
    lines = [
        "---",
        f"pretty_name: {params.study}",
        f"size_categories: [{size}]",
        "tags: [llm-safety, refusal, stability]",
        "configs: [{config_name: default, data_files: responses.parquet}]",
        "---",
        "",
        f"# {params.study}: responses and safety decisions across repeats",
        "",
        f"{n_responses} responses to {n_prompts} prompts by {len(params.models)} models "
        f"({', '.join(model.label or name for name, model in params.models.items())}), at temperatures "
        f"{', '.join(f'{t:g}' for t in params.sampling.temperatures)} with seeds "
        f"{', '.join(map(str, params.sampling.seeds))}.{_on_recorded_seeds(params)} Labels are REFUSE, PARTIAL or "
        f"COMPLY, by {', '.join(judges)}; {_behind_tables(params)}.",
        "",
        "**Responses may be harmful text.** They are model outputs, some of them to harmful requests. The prompts keep "
        "the licence of their source. Choose a licence for the rest before you publish it. Leave out responses that a "
        "model should not have given.",
        "",
        "| file | what |",
        "|---|---|",
        "| `responses.parquet` | one row per response, with all its labels |",
        *(f"| `{table}` | a metric table; `datapackage.json` explains its columns |" for table in tables),
        "",
        "```python",
        "import pandas as pd",
        'responses = pd.read_parquet("responses.parquet")',
        'labels = responses.explode("labels")',
        "```",
        "",
        "| column | meaning |",
        "|---|---|",
        *(f"| `{name}` | {_cell(meaning)} |" for name, meaning in columns.items()),
        "",
        "A response without a text is *missing, with a reason*. A label that is missing has a reason too. Neither is a "
        "refusal. `refusal-stability import responses.parquet` makes it a study again.",
        "",
    ]
    return "\n".join(lines)


def _on_recorded_seeds(params: StudyParams) -> str:
    recorded = [model.label or name for name, model in params.models.items() if model.engine == "recorded"]
    if not recorded:
        return ""
    return f" The seeds of {', '.join(recorded)} are the number of a repeat: whether anything was seeded is not known."


def _behind_tables(params: StudyParams) -> str:
    """Whose labels the metric tables are made from, for each model where the primary judges differ."""
    primary = {model: params.judging.of(model).primary for model in params.models}
    if len(set(primary.values())) == 1:
        return f"`{next(iter(primary.values()))}` is the judge behind the metric tables"
    return "the judges behind the metric tables: " + ", ".join(f"`{j}` for {m}" for m, j in primary.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
