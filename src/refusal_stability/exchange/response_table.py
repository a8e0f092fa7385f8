"""Every response of a study with its labels as one Parquet file: its schema, its writer, and its reader."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.exchange.exported_study import ExportedStudy, study_description, study_in
from refusal_stability.exchange.logged import LogError
from refusal_stability.files import atomic_write, generation_file, label_file
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Condition, Outcome
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.parquet_batches import parquet_rows
from refusal_stability.tables.parquet_files import COMPRESSION
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE

FORM = (b"refusal_stability", b"responses 1")
# Column -> (kind, meaning); `labels` follows.
RESPONSE_COLUMNS: dict[str, tuple[str, str]] = {
    "study": ("text", "the study's name"),
    "model": ("text", "the model's name in params.yaml"),
    "model_label": ("text", "the model's name in figures and tables"),
    "intervention": ("text", GENERATION_TABLE.meaning["intervention"]),
    "temperature": ("number", GENERATION_TABLE.meaning["temperature"]),
    "seed": ("whole", GENERATION_TABLE.meaning["seed"]),
    **{name: ("text", meaning) for name, meaning in PROMPT_TABLE.meaning.items()},
    **{
        name: ("text", GENERATION_TABLE.meaning[name])
        for name in ("response", "thinking", "finish_reason", "missing_reason", "outcome")
    },
    "unseeded": ("flag", GENERATION_TABLE.meaning["unseeded"]),
}
LABEL_COLUMNS = ("judge", "repeat", "label", "confidence", "reasoning", "missing_reason", "basis")
LABELS_MEANING = "a record for each judge and repeat, the primary judge first: " + ", ".join(LABEL_COLUMNS)
WHOLE = ("seed", "repeat")
NUMBERS = ("temperature", "confidence")
FLAGS = ("unseeded",)
# The key of the file's metadata under which the study is described.
STUDY = b"refusal_stability.study"


def _schema(study: str) -> Any:
    import pyarrow as pa

    def kind(name: str) -> Any:
        if name in FLAGS:
            return pa.bool_()
        return pa.int64() if name in WHOLE else pa.float64() if name in NUMBERS else pa.string()

    fields = [
        pa.field(name, kind(name), metadata={"description": meaning}) for name, (_, meaning) in RESPONSE_COLUMNS.items()
    ]
    label = pa.struct([pa.field(name, kind(name)) for name in LABEL_COLUMNS])
    fields.append(pa.field("labels", pa.list_(label), metadata={"description": LABELS_MEANING}))
    return pa.schema(fields, metadata={**dict([FORM]), STUDY: study.encode()})


def write_responses(params: StudyParams, prompts: Any, path: Path) -> int:
    """Write every response that was asked for, a configuration at a time; returns how many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, count = _schema(study_description(params, prompts)), 0
    about = prompts.set_index("prompt_id").to_dict("index")
    with atomic_write(path, "wb") as file, pq.ParquetWriter(file, schema, compression=COMPRESSION) as writer:
        for model in params.models:
            for condition in params.conditions(model):
                rows = list(response_rows(params, condition, about))
                count += len(rows)
                if rows:
                    writer.write_table(pa.Table.from_pylist(rows, schema))
    return count


def response_rows(
    params: StudyParams, condition: Condition, about: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """One configuration's responses with their labels; `about` says what is known of each prompt id."""
    responses = read_table(generation_file(condition), GENERATION_TABLE)
    labels = _labels(params, condition)
    label = params.models[condition.model].label or condition.model
    for row in responses[responses["outcome"] != Outcome.NOT_SAMPLED].to_dict("records"):
        found = {str(name): value for name, value in row.items()}
        told = about[found["prompt_id"]]
        yield {
            **told,
            **{name: found[name] for name in RESPONSE_COLUMNS if name in found},
            "study": params.study,
            "model_label": label,
            "labels": labels.get(found["prompt_id"], []),
        }


def _labels(params: StudyParams, condition: Condition) -> dict[str, list[dict[str, Any]]]:
    """Each prompt's labels in one configuration, the primary judge's first."""
    path = label_file(condition)
    if not path.is_file():
        return {}
    table = read_table(path, LABEL_TABLE)
    primary = params.judging.of(condition.model).primary
    by_prompt: dict[str, list[dict[str, Any]]] = {}
    for row in table.sort_values("judge", key=lambda names: names != primary, kind="stable").to_dict("records"):
        confidence = None if math.isnan(row["confidence"]) else row["confidence"]
        label = {str(name): row[name] for name in LABEL_COLUMNS} | {"confidence": confidence}
        by_prompt.setdefault(row["prompt_id"], []).append(label)
    return by_prompt


def is_response_table(path: Path) -> bool:
    """Whether a Parquet file is an export of this project."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix != ".parquet":
        return False
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return False
    return FORM[0] in metadata


def study_of(path: Path) -> ExportedStudy | None:
    """The study that an export describes; None where it is of an older version."""
    import pyarrow.parquet as pq

    text = (pq.read_schema(path).metadata or {}).get(STUDY)
    return study_in(str(path), None if text is None else text.decode("utf-8", "replace"))


def read_responses(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of an export, batch by batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        if file.schema_arrow.metadata.get(FORM[0]) != FORM[1]:
            raise LogError(f"{path}: an export of another version of this project; export it again with this one")
        yield from parquet_rows(path, file, path.stat().st_size, columns)
    except (pa.ArrowException, OSError) as error:
        raise LogError(
            f"{path}: not readable as Parquet: {' '.join(str(error).split())[:200]}; copy it again"
        ) from error
