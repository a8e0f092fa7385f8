"""What the explorer reads, and when.

The list of prompts is read before the first page and the labels at the first grid. A response, its thinking and the
judges' reasoning are read when they are unfolded, from their configuration's file. What was read is kept for the whole
process and for every browser. A rewritten file is read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from refusal_stability.figures.series import series_of
from refusal_stability.files import PROMPTS, ArtifactError, generation_file, label_file
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.records import DECISIONS, Basis, Condition, Outcome
from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import column_names, read_arrow, read_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.optional import PROMPT_CONFIDENCE
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, check_labels

if TYPE_CHECKING:
    import pyarrow as pa

    Labels = dict[Condition, pa.Table]

PER_PROMPT = METRIC_TABLES["per_prompt_metrics"][0]
CONFIDENCE = ("model", "intervention", "prompt_id", "lowest_confidence")
LABEL_COLUMNS = ("prompt_id", "judge", "repeat", "label", "missing_reason", "confidence", "basis")
ANSWER_COLUMNS = ("prompt_id", "response", "finish_reason", "missing_reason", "outcome", "thinking", "unseeded")
# Two versions: before a file was rewritten, for a page that is being drawn, and after.
KEPT = 2
State = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Verdict:
    """One judge's decision on one response; `label` is empty exactly when `missing_reason` says why."""

    judge: str
    repeat: int
    label: str
    missing_reason: str
    confidence: float | None = None
    basis: str = Basis.JUDGE.value
    reasoning: str = ""


@dataclass(frozen=True)
class Answer:
    """One response; `text` is None exactly when `missing_reason` says why."""

    text: str | None
    finish_reason: str
    missing_reason: str
    outcome: str = ""
    thinking: str = ""
    unseeded: bool = False


def require_study() -> None:
    """Raise unless a study has been run here, up to its metric tables."""
    for path in (PROMPTS, PER_PROMPT):
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file; the explorer shows a finished study: run `make repro`")


def state_of(paths: Iterable[Path]) -> State:
    """Path, time and size of each file, to notice a rewritten one; 0 for an absent file."""
    return tuple((str(path), *_time_and_size(path)) for path in paths)


def _time_and_size(path: Path) -> tuple[int, int]:
    try:
        now = path.stat()
    except OSError:
        return 0, 0
    return now.st_mtime_ns, now.st_size


def params_now(path: Path) -> StudyParams:
    """The study's current parameters."""
    return _params(path, state_of([path]))


def prompts_now(path: Path) -> pd.DataFrame:
    """The current list of prompts (`prompt_rows`) of the study with parameters `path`."""
    return _prompts(path, prompts_state(path))


def prompts_state(path: Path) -> State:
    """Of the files that the list of prompts is read from."""
    return state_of([path, PROMPTS, PER_PROMPT, PROMPT_CONFIDENCE[0], METRIC_TABLES["adaptive_prompts"][0]])


def labels_now(conditions: Sequence[Condition]) -> Labels:
    """The current labels (`read_labels`) of some configurations."""
    return _labels(tuple(conditions), state_of(label_file(c) for c in conditions))


def unsampled_now(condition: Condition) -> frozenset[str]:
    """The prompts that were never asked in a configuration, as its current generation file says."""
    return _unsampled(condition, state_of([generation_file(condition)]))


def outcomes_now(condition: Condition) -> list[tuple[str, str]]:
    """Prompt id and outcome of each response of a configuration, as its current generation file says."""
    return _outcomes(condition, state_of([generation_file(condition)]))


@lru_cache(maxsize=KEPT)
def _params(path: Path, _: State) -> StudyParams:
    return load_params(path)


@lru_cache(maxsize=KEPT)
def _prompts(path: Path, _: State) -> pd.DataFrame:
    return prompt_rows(params_now(path))


@lru_cache(maxsize=KEPT)
def _labels(conditions: tuple[Condition, ...], _: State) -> Labels:
    return read_labels(conditions)


@lru_cache(maxsize=1024)
def _unsampled(condition: Condition, _: State) -> frozenset[str]:
    import pyarrow.compute as pc

    path = generation_file(condition)
    if not path.is_file():
        return frozenset()
    columns = ("prompt_id", "finish_reason", "missing_reason", "outcome")
    table = _read(path, GENERATION_TABLE, columns)
    return frozenset(table.filter(pc.equal(table["outcome"], Outcome.NOT_SAMPLED.value))["prompt_id"].to_pylist())


@lru_cache(maxsize=1024)
def _outcomes(condition: Condition, _: State) -> list[tuple[str, str]]:
    path = generation_file(condition)
    if not path.is_file():
        return []
    table = _read(path, GENERATION_TABLE, ("prompt_id", "finish_reason", "missing_reason", "outcome"))
    return list(zip(table["prompt_id"].to_pylist(), table["outcome"].to_pylist(), strict=True))


def prompt_rows(params: StudyParams) -> pd.DataFrame:
    """A row for each series and prompt: metrics, the prompt's text, the series' `label`, and `position` in the file."""
    require_study()
    prompts = read_table(PROMPTS, PROMPT_TABLE)
    names = {(one.model, one.intervention): one.label for one in series_of(params).series}
    table = metric_table("per_prompt_metrics")
    pairs = list(zip(table["model"], table["intervention"], strict=True))
    strangers = sorted({pair for pair in pairs if pair not in names})
    if strangers:
        raise ArtifactError(
            f"{PER_PROMPT}: model {strangers[0][0]!r} with intervention {strangers[0][1]!r} is not in the study's "
            "parameters; run `make repro` to write the table again"
        )
    sure = read_table(*PROMPT_CONFIDENCE) if PROMPT_CONFIDENCE[0].is_file() else pd.DataFrame(columns=[*CONFIDENCE])
    table = table.merge(sure[[*CONFIDENCE]], on=[*CONFIDENCE[:3]], how="left", validate="1:1")
    place = pd.Series(range(len(prompts)), index=prompts["prompt_id"])
    table = table.assign(
        label=[names[pair] for pair in pairs],
        prompt=table["prompt_id"].map(prompts.set_index("prompt_id")["prompt"]),
        turns=table["prompt_id"].map(prompts.set_index("prompt_id")["turns"]),
        harm=table["prompt_id"].map(prompts.set_index("prompt_id")["harm"]),
        position=table["prompt_id"].map(place),
    )
    if table["position"].isna().any():
        unknown = table.loc[table["position"].isna(), "prompt_id"].iloc[0]
        raise ArtifactError(f"{PER_PROMPT}: prompt {unknown!r} is not in {PROMPTS}; run `make repro`")
    return table if not params.sampling.adaptive else table.merge(_verdicts(), how="left")


def _verdicts() -> pd.DataFrame:
    """Each prompt's verdict, with the samples that it took."""
    rounds = metric_table("adaptive_prompts")
    names = zip(rounds["verdict"], rounds["n_spent"], strict=True)
    place = rounds[["model", "intervention", "prompt_id"]]
    return place.assign(verdict=[f"{verdict}, {spent}" for verdict, spent in names])


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
    """Every judge's decision on one response, each repeat, without the reasoning."""
    import pyarrow.compute as pc

    if condition not in labels:
        return []
    table = labels[condition]
    rows = table.filter(pc.equal(table["prompt_id"], prompt_id)).to_pylist()
    return [_verdict(row) for row in rows]


def read_verdicts(condition: Condition, prompt_id: str) -> list[Verdict]:
    """Every judge's decision on one response, each repeat, with the reasoning from the configuration's file."""
    path = label_file(condition)
    if not path.is_file():
        return []
    rows = _read(path, LABEL_TABLE, (*LABEL_COLUMNS, "reasoning"), prompt_id).to_pylist()
    return [_verdict(row) for row in rows]


def _verdict(row: Mapping[str, Any]) -> Verdict:
    confidence = None if pd.isna(row["confidence"]) else row["confidence"]
    given = {name: row[name] for name in ("judge", "repeat", "label", "missing_reason", "basis")}
    return Verdict(**given, confidence=confidence, reasoning=row.get("reasoning", ""))


def read_answer(condition: Condition, prompt_id: str) -> Answer:
    """One response, from its configuration's file."""
    path = generation_file(condition)
    if not path.is_file():
        return Answer(None, "", f"{path}: no such file")
    rows = _read(path, GENERATION_TABLE, ANSWER_COLUMNS, prompt_id).to_pylist()
    if not rows:
        return Answer(None, "", f"{path}: has no row for this prompt")
    row = rows[0]
    text = None if row["missing_reason"] else row["response"]
    return Answer(text, *(row[name] for name in ANSWER_COLUMNS[2:]))


def _read(path: Path, contract: Contract, columns: Sequence[str], prompt_id: str | None = None) -> Any:
    """Some columns of a table, of one prompt or of all; repeated texts are kept once.

    Columns that tables of earlier versions lack are filled in.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    short = pa.dictionary(pa.int32(), pa.string())
    kinds = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64(), "flag": pa.bool_()}
    types = {name: kinds[contract.columns[name]] for name in columns}
    types |= {name: short for name in ("judge", "label", "missing_reason", "basis") if name in types}
    try:
        there = column_names(path)
        lacking = [name for name in columns if name not in there and name in contract.older]
        wanted = [name for name in columns if name not in lacking]
        table = read_arrow(path, types, wanted)
        if lacking:
            filled = table.to_pandas().assign(**{name: contract.older[name] for name in lacking})
            table = pa.Table.from_pandas(filled, preserve_index=False)
    except (OSError, UnicodeDecodeError, pa.ArrowException, KeyError) as error:
        read_table(path, contract)
        raise ArtifactError(f"{path}: not a readable {contract.name} table: {error}") from error
    return table if prompt_id is None else table.filter(pc.equal(table["prompt_id"], prompt_id))
