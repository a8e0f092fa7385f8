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
from refusal_stability.exchange.collected import Collected
from refusal_stability.exchange.collection import Collection
from refusal_stability.exchange.exported_study import ExportedStudy, grid_of
from refusal_stability.exchange.logged import LogError, LoggedLabel
from refusal_stability.files import ArtifactError
from refusal_stability.judging.recorded import LAYOUTS as LABEL_FILES
from refusal_stability.records import NO_INTERVENTION, Intervention, Outcome, Prompt
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
    (*GENERATION_TABLE.key, "intervention"),
    GENERATION_TABLE.meaning,
    GENERATION_TABLE.older,
)
NOT_SAMPLED_REASON = "not sampled"
NO_LABEL = LoggedLabel("", missing_reason="the source has no label")
NO_NAME = re.compile(r"[^a-z0-9_-]+")
LONGEST_NAME = 80  # it becomes part of the names of files
MARK = ".gitignore"
IGNORED = "# Imported responses may be harmful text: git leaves this folder out.\n*\n"


def study_name(text: str) -> str:
    """A name as params.yaml takes it: lower case, with `-` for what names do not hold."""
    return NO_NAME.sub("-", text.lower()).strip("-_")[:LONGEST_NAME].strip("-_") or "unnamed"


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


def model_names(models: Iterable[str], exported: ExportedStudy | None) -> dict[str, str]:
    """The log's models -> their names in params.yaml, which those of an export have already."""
    return {model: model for model in models} if exported else study_names(models)


def write_recorded(collection: Collection, folder: Path, exported: ExportedStudy | None = None) -> None:
    """Write prompts, a file of responses per model, temperature and repeat, and labels where the model has any.

    Every response file holds every prompt under every intervention: a prompt without a response there was not sampled.
    The folder appears only when all of it is written, and replaces an earlier one.
    """
    grid = grid_of(collection, exported)
    names = model_names(grid.models, exported)
    interventions = [exported.intervention(one) if exported else Intervention(one) for one in grid.interventions]
    prompts = collection.prompts
    with _replaced(folder) as new:
        write_table(_prompt_table(prompts), new / PROMPTS_FILE, IMPORTED_PROMPTS)
        for model in grid.models:
            judges = {judge: collection.repeats_of(judge) for judge in collection.judges_of(model)}
            for temperature in grid.temperatures:
                for repeat in grid.repeats:
                    place = {"name": names[model], "temperature": temperature, "seed": repeat}
                    tables = []
                    for intervention in interventions:
                        cell: dict[str, Any] = {
                            "model": names[model],
                            "intervention": intervention.name,
                            "temperature": temperature,
                            "seed": repeat,
                        }
                        rows = list(collection.responses(model, intervention.name, temperature, repeat))
                        tables.append(_response_table(prompts, rows, intervention).assign(**cell))
                        if judges and rows:
                            labels = _label_table(prompts, rows, judges).assign(**cell)
                            under = "" if intervention.name == NO_INTERVENTION else f"_{intervention.name}"
                            path = new / LABEL_FILES["project"].format(**place, under=under)
                            write_table(labels, path, LABEL_TABLE)
                    path = new / RESPONSE_FILES["project"].format(**place)
                    write_table(_each_conversation_once(tables), path, IMPORTED_RESPONSES)
        (new / MARK).write_text(IGNORED, encoding="utf-8")


def _each_conversation_once(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The responses under all interventions; a prompt with a system turn may be another one under an intervention."""
    if len(tables) == 1:
        return tables[0]
    said = ["turns", "prompt", "response", "missing_reason", "outcome"]
    return pd.concat(tables, ignore_index=True).drop_duplicates(said, ignore_index=True)


def _prompt_table(prompts: Sequence[Prompt]) -> pd.DataFrame:
    rows = [(p.prompt_id, _as_json(p), p.category, p.source, p.harm, p.language, p.intent) for p in prompts]
    return pd.DataFrame(rows, columns=list(IMPORTED_PROMPTS.columns))


def _as_json(prompt: Prompt) -> str:
    return json.dumps([message.identity() for message in prompt.conversation], ensure_ascii=False)


def _turns(prompt: Prompt, intervention: Intervention) -> str:
    """All that was sent before the last user turn, as JSON; empty for nothing."""
    earlier = [turn.identity() for turn in intervention.messages(prompt)[:-1]]
    return json.dumps(earlier, ensure_ascii=False) if earlier else ""


def _response_table(prompts: Sequence[Prompt], rows: Sequence[Collected], intervention: Intervention) -> pd.DataFrame:
    by_prompt = {row.prompt: row for row in rows}
    absent = Collected(-1, "", "", NOT_SAMPLED_REASON, Outcome.NOT_SAMPLED.value, "", False, {})
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
            "unseeded": [row.unseeded for row in found],
            "turns": [_turns(prompt, intervention) for prompt in prompts],
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
                told = (label.label, label.reasoning, label.missing_reason, label.confidence, label.basis.value)
                lines.append((prompts[row.prompt].prompt_id, judge, repeat, *told))
    columns = ["prompt_id", "judge", "repeat", "label", "reasoning", "missing_reason", "confidence", "basis"]
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
