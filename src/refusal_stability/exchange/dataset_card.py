"""The dataset card of an export: what the files hold, how to load them, and what they may be used for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from refusal_stability.exchange.response_table import LABELS_MEANING, RESPONSE_COLUMNS
from refusal_stability.params.study import StudyParams
from refusal_stability.tables.parquet_batches import parquet_rows

SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}


@dataclass
class Contents:
    """What a file of responses holds: its rows, those with a text, and its prompts, those with a text of their own."""

    responses: int = 0
    texts: int = 0
    prompts: int = 0
    prompt_texts: int = 0


def contents_of(responses: Path) -> Contents:
    """Count what a Parquet file of responses holds."""
    import pyarrow.parquet as pq

    found, prompts = Contents(), {}
    columns = ["prompt_id", "prompt", "response"]
    with pq.ParquetFile(responses) as file:
        for row in parquet_rows(responses, file, responses.stat().st_size, columns):
            found.responses += 1
            found.texts += bool(row["response"])
            prompts[row["prompt_id"]] = row["prompt"]
    found.prompts = len(prompts)
    found.prompt_texts = sum(text not in ("", one) for one, text in prompts.items())
    return found


def dataset_card(params: StudyParams, contents: Contents, tables: Iterable[str]) -> str:
    """The card as Markdown, with the header that dataset hubs read."""
    size = next((text for limit, text in SIZES.items() if contents.responses < limit), "n>1M")
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
        f"{contents.responses} responses to {_counted(contents.prompts, 'prompt')} by "
        f"{_counted(len(params.models), 'model')} "
        f"({', '.join(model.label or name for name, model in params.models.items())}), at "
        f"{_named('temperature', [f'{t:g}' for t in params.sampling.temperatures])} with "
        f"{_named('seed', [str(seed) for seed in params.sampling.seeds])}.{_gaps(params, contents)}"
        f"{_on_recorded_seeds(params)} Labels are REFUSE, PARTIAL or COMPLY, by {', '.join(judges)}; "
        f"{_behind_tables(params)}.",
        "",
        _on_texts(contents),
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
        "`outcome` says what became of each request. A response that is missing has a reason in `missing_reason`, and "
        "so has a label: neither is a refusal. A refusal that the vendor reported as such may have no text; it is no "
        "missing response. `refusal-stability import responses.parquet` makes it a study again.",
        "",
    ]
    return "\n".join(lines)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _named(noun: str, values: list[str]) -> str:
    return f"{noun}{'' if len(values) == 1 else 's'} {', '.join(values)}"


def _gaps(params: StudyParams, contents: Contents) -> str:
    whole = contents.prompts * sum(1 for model in params.models for _ in params.conditions(model))
    return "" if contents.responses == whole else f" The whole grid would be {whole}: numbers of responses are unequal."


def _on_texts(contents: Contents) -> str:
    """What the texts may hold, and whose they are; that there are none, where there are none."""
    prompts = (
        "The prompts keep the licence of their source."
        if contents.prompt_texts
        else "The file names prompts by their ids and holds no text of theirs."
    )
    if not contents.texts:
        return f"The file holds labels and no text of a response. {prompts} Choose a licence before you publish it."
    return (
        "**Responses may be harmful text.** They are model outputs, some of them to harmful requests. "
        f"{prompts} Choose a licence for the rest before you publish it. Leave out responses that a model should not "
        "have given."
    )


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
