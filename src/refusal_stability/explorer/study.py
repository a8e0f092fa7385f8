"""What the explorer reads, and when: the list of prompts before the first page, the labels at the first grid, and of
responses and reasonings only what is unfolded, out of its configuration's file.

What is kept is kept for the whole process, for every browser, and never changed; a rewritten file is read anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from refusal_stability.figures.series import series_of
from refusal_stability.files import PROMPTS, ArtifactError, generation_file, label_file
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.records import DECISIONS, Condition
from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import read_arrow, read_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, check_labels

if TYPE_CHECKING:
    import pyarrow as pa

    Labels = dict[Condition, pa.Table]

PER_PROMPT = METRIC_TABLES["per_prompt_metrics"][0]
LABEL_COLUMNS = ("prompt_id", "judge", "repeat", "label", "missing_reason")
# Two: the study before a file was rewritten, for a page that is being shown, and after.
KEPT = 2
State = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Verdict:
    """One judge's decision on one response; `label` is empty exactly when `missing_reason` says why."""

    judge: str
    repeat: int
    label: str
    missing_reason: str
    reasoning: str = ""


@dataclass(frozen=True)
class Answer:
    """One response; `text` is None exactly when `missing_reason` says why."""

    text: str | None
    finish_reason: str
    missing_reason: str


def require_study() -> None:
    """Raise unless a study has been run here as far as its tables."""
    for path in (PROMPTS, PER_PROMPT):
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file; the explorer shows a study that was run: `make repro` runs it")


def state_of(paths: Iterable[Path]) -> State:
    """What tells whether any of these files was rewritten: path, time and size of each, 0 for an absent one."""
    stats = [(str(path), path.stat() if path.is_file() else None) for path in paths]
    return tuple((name, s.st_mtime_ns, s.st_size) if s else (name, 0, 0) for name, s in stats)


def params_now(path: Path) -> StudyParams:
    """The study's parameters as its file says now."""
    return _params(path, state_of([path]))


def prompts_now(path: Path) -> pd.DataFrame:
    """The list of prompts (`read_prompts`) as the files of the study with parameters `path` say now."""
    return _prompts(path, state_of([path, PROMPTS, PER_PROMPT]))


def labels_now(conditions: Sequence[Condition]) -> Labels:
    """The labels (`read_labels`) of some configurations as their files say now."""
    return _labels(tuple(conditions), state_of(label_file(c) for c in conditions))


@lru_cache(maxsize=KEPT)
def _params(path: Path, _: State) -> StudyParams:
    return load_params(path)


@lru_cache(maxsize=KEPT)
def _prompts(path: Path, _: State) -> pd.DataFrame:
    return read_prompts(params_now(path))


@lru_cache(maxsize=KEPT)
def _labels(conditions: tuple[Condition, ...], _: State) -> Labels:
    return read_labels(conditions)


def read_prompts(params: StudyParams) -> pd.DataFrame:
    """A row a series and prompt: its metrics, the prompt's text, the series' `label`, and `position` (file order)."""
    require_study()
    prompts = read_table(PROMPTS, PROMPT_TABLE)
    names = {(one.model, one.intervention): one.label for one in series_of(params).series}
    table = metric_table("per_prompt_metrics")
    pairs = list(zip(table["model"], table["intervention"], strict=True))
    strangers = sorted({pair for pair in pairs if pair not in names})
    if strangers:
        raise ArtifactError(
            f"{PER_PROMPT}: model {strangers[0][0]!r} with intervention {strangers[0][1]!r} is not in the study's "
            "parameters; run the study (`make repro`) to write the table anew"
        )
    place = pd.Series(range(len(prompts)), index=prompts["prompt_id"])
    table = table.assign(
        label=[names[pair] for pair in pairs],
        prompt=table["prompt_id"].map(prompts.set_index("prompt_id")["prompt"]),
        turns=table["prompt_id"].map(prompts.set_index("prompt_id")["turns"]),
        position=table["prompt_id"].map(place),
    )
    if table["position"].isna().any():
        unknown = table.loc[table["position"].isna(), "prompt_id"].iloc[0]
        raise ArtifactError(f"{PER_PROMPT}: prompt {unknown!r} is not in {PROMPTS}; run the study (`make repro`)")
    return table


def earlier_turns(turns: str) -> list[tuple[str, str]]:
    """Role and text of each turn before the prompt, from a cell of the column `turns`."""
    return [(turn["role"], turn["content"]) for turn in json.loads(turns or "[]")]


def read_labels(conditions: Sequence[Condition]) -> Labels:
    """Each configuration's labels without the judges' reasoning; an absent file is left out."""
    labels = {c: _read(label_file(c), LABEL_TABLE, LABEL_COLUMNS) for c in conditions if label_file(c).is_file()}
    for condition, table in labels.items():
        if not set(table["label"].unique().to_pylist()) <= {str(d) for d in DECISIONS} | {""}:
            path = label_file(condition)
            check_labels(read_table(path, LABEL_TABLE), str(path))
    return labels


def verdicts_of(labels: Labels, condition: Condition, prompt_id: str) -> list[Verdict]:
    """What every judge decided on one response, each repeat; without the reasoning."""
    import pyarrow.compute as pc

    if condition not in labels:
        return []
    table = labels[condition]
    rows = table.filter(pc.equal(table["prompt_id"], prompt_id)).to_pylist()
    return [Verdict(row["judge"], row["repeat"], row["label"], row["missing_reason"]) for row in rows]


def read_verdicts(condition: Condition, prompt_id: str) -> list[Verdict]:
    """What every judge said of one response, each repeat, with the reasoning out of the configuration's file."""
    path = label_file(condition)
    if not path.is_file():
        return []
    rows = _read(path, LABEL_TABLE, (*LABEL_COLUMNS, "reasoning"), prompt_id).to_pylist()
    return [Verdict(row["judge"], row["repeat"], row["label"], row["missing_reason"], row["reasoning"]) for row in rows]


def read_answer(condition: Condition, prompt_id: str) -> Answer:
    """One response, out of its configuration's file."""
    path = generation_file(condition)
    if not path.is_file():
        return Answer(None, "", f"{path}: no such file")
    columns = ("prompt_id", "response", "finish_reason", "missing_reason")
    rows = _read(path, GENERATION_TABLE, columns, prompt_id).to_pylist()
    if not rows:
        return Answer(None, "", f"{path}: has no row for this prompt")
    row = rows[0]
    return Answer(None if row["missing_reason"] else row["response"], row["finish_reason"], row["missing_reason"])


def _read(path: Path, contract: Contract, columns: Sequence[str], prompt_id: str | None = None) -> Any:
    """Some columns of a table, of one prompt or of all; texts that repeat are kept once."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv

    short = pa.dictionary(pa.int32(), pa.string())
    kinds = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64()}
    types = {name: kinds[contract.columns[name]] for name in columns}
    types |= {name: short for name in ("judge", "label", "missing_reason") if name in types}
    options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False, include_columns=list(columns))
    try:
        table = read_arrow(path, options)
    except (OSError, UnicodeDecodeError, pa.ArrowException, KeyError) as error:
        read_table(path, contract)
        raise ArtifactError(f"{path}: not a readable {contract.name} table: {error}") from error
    return table if prompt_id is None else table.filter(pc.equal(table["prompt_id"], prompt_id))
