"""A collection written as recorded responses and labels: a study takes them over by the engine and judge `recorded`."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.engines.recorded import LAYOUTS as RESPONSE_FILES
from refusal_stability.exchange.collection import Collected, Collection
from refusal_stability.exchange.logged import LogError, LoggedLabel
from refusal_stability.files import ArtifactError
from refusal_stability.judging.recorded import LAYOUTS as LABEL_FILES
from refusal_stability.records import NO_INTERVENTION, Outcome, Prompt
from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE

PROMPTS_FILE = "prompts.csv"
IMPORTED_PROMPTS = Contract(
    "imported prompts",
    dict.fromkeys(("id", "messages", "category", "source", "harm", "language", "intent"), "text"),
    ("id",),
    {},
)
IMPORTED_RESPONSES = Contract(
    "imported responses",
    {**GENERATION_TABLE.columns, "turns": "text"},
    GENERATION_TABLE.key,
    GENERATION_TABLE.meaning,
    GENERATION_TABLE.older,
)
NOT_SAMPLED_REASON = "not sampled"
NO_LABEL = LoggedLabel("", missing_reason="the source has no label")
NO_NAME = re.compile(r"[^a-z0-9_-]+")
MARK = ".gitignore"
IGNORED = "# Imported responses may be harmful text: git leaves this folder out.\n*\n"


def study_name(text: str) -> str:
    """A name as params.yaml takes it: lower case, with `-` for what names do not hold."""
    return NO_NAME.sub("-", text.lower()).strip("-_") or "unnamed"


def study_names(
    theirs: Iterable[str], what: str = "models", name_of: Callable[[str], str] = study_name
) -> dict[str, str]:
    """The log's models, or judges -> their names in params.yaml; two that would have one name are an error."""
    names = {one: name_of(one) for one in theirs}
    for one, name in names.items():
        same = [other for other, taken in names.items() if taken == name]
        if len(same) > 1:
            raise LogError(
                f"{what} {' and '.join(map(repr, same))} would both be called {name}; rename {one!r} in the log"
            )
    return names


def check_replaceable(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier import, which `write_recorded` would remove."""
    mark = folder / MARK
    if mark.is_file() and mark.read_text(encoding="utf-8", errors="replace") == IGNORED:
        return
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise LogError(
            f"{folder}: holds files that no import wrote, and an import replaces the folder; choose another name: "
            f"--name {folder.name}-imported"
        )


def write_recorded(collection: Collection, folder: Path) -> None:
    """Write prompts, one file of responses per configuration, and one of labels where the model has any.

    Every response file holds every prompt: a prompt without a response there was not sampled. The folder appears only
    when all of it is written, and replaces an earlier one.
    """
    models, temperatures, repeats = collection.grid()
    prompts = collection.prompts
    names = study_names(models)
    with _replaced(folder) as new:
        write_table(_prompt_table(prompts), new / PROMPTS_FILE, IMPORTED_PROMPTS)
        for model in models:
            judges = {judge: collection.repeats_of(judge) for judge in collection.judges_of(model)}
            for temperature in temperatures:
                for repeat in repeats:
                    place = {"name": names[model], "temperature": temperature, "seed": repeat}
                    cell: dict[str, Any] = {
                        "model": names[model],
                        "intervention": NO_INTERVENTION,
                        "temperature": temperature,
                        "seed": repeat,
                    }
                    rows = list(collection.responses(model, temperature, repeat))
                    table = _response_table(prompts, rows).assign(**cell)
                    write_table(table, new / RESPONSE_FILES["project"].format(**place), IMPORTED_RESPONSES)
                    if judges and rows:
                        labels = _label_table(prompts, rows, judges).assign(**cell, basis="judge")
                        write_table(labels, new / LABEL_FILES["project"].format(**place), LABEL_TABLE)
        (new / MARK).write_text(IGNORED, encoding="utf-8")


def _prompt_table(prompts: Sequence[Prompt]) -> pd.DataFrame:
    rows = [(p.prompt_id, _as_json(p), p.category, p.source, p.harm, p.language, p.intent) for p in prompts]
    return pd.DataFrame(rows, columns=list(IMPORTED_PROMPTS.columns))


def _as_json(prompt: Prompt) -> str:
    return json.dumps([message.identity() for message in prompt.conversation], ensure_ascii=False)


def _turns(prompt: Prompt) -> str:
    return (
        json.dumps([turn.identity() for turn in prompt.earlier_turns], ensure_ascii=False)
        if prompt.earlier_turns
        else ""
    )


def _response_table(prompts: Sequence[Prompt], rows: Sequence[Collected]) -> pd.DataFrame:
    by_prompt = {row.prompt: row for row in rows}
    absent = Collected(-1, "", "", NOT_SAMPLED_REASON, Outcome.NOT_SAMPLED.value, "", {})
    found = [by_prompt.get(k, absent) for k in range(len(prompts))]
    return pd.DataFrame(
        {
            "prompt_id": [prompt.prompt_id for prompt in prompts],
            "prompt": [prompt.text for prompt in prompts],
            "response": [row.response for row in found],
            "finish_reason": [row.finish_reason for row in found],
            "missing_reason": [row.missing_reason for row in found],
            "outcome": [row.outcome for row in found],
            "thinking": [row.thinking for row in found],
            "turns": [_turns(prompt) for prompt in prompts],
        }
    )


def _label_table(prompts: Sequence[Prompt], rows: Sequence[Collected], judges: Mapping[str, int]) -> pd.DataFrame:
    """The labels of a configuration; `judges` says how many repeats each judge has."""
    lines = []
    for row in rows:
        for judge, repeats in judges.items():
            labels = {label.repeat: label for label in row.labels.get(judge, [])}
            for repeat in range(repeats):
                label = labels.get(repeat, NO_LABEL)
                told = (label.label, label.reasoning, label.missing_reason, label.confidence)
                lines.append((prompts[row.prompt].prompt_id, judge, repeat, *told))
    columns = ["prompt_id", "judge", "repeat", "label", "reasoning", "missing_reason", "confidence"]
    return pd.DataFrame(lines, columns=columns).astype({"confidence": float})


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` once it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield new
        new.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        new.replace(folder)
    except OSError as error:
        raise ArtifactError(
            f"{folder}: could not be written ({error.strerror or error}); free some space or check the permissions"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
