"""A study as tracking reads it: parameters, tables, attachments, hashes, and what generating took."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.engines.store import Store
from refusal_stability.files import FIGURES, PROMPTS, REPORT, STORE, generation_file, label_file
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Condition
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE
from refusal_stability.tracking.identity import study_digest
from refusal_stability.tracking.provenance import file_md5, provenance

REPORT_ARTIFACT = "report.html"
ROWS_KEPT = 8
# With more, the rows kept by each process that makes artifacts would need gigabytes.
MOST_PROMPTS_KEPT = 20_000


@dataclass(frozen=True)
class GenerationSpeed:
    """Tokens and seconds of a model's generation, and the engine's description; true of a machine, not of the study.

    The store times whole sessions: one can hold several interventions, and runs of an earlier grid.
    """

    tokens: int
    seconds: float
    description: Mapping[str, Any]


@dataclass(frozen=True)
class TrackedStudy:
    """Everything that tracking reads.

    Attributes
    ----------
    tables : metric table name -> table.
    attachments : place among a parent run's artifacts -> file: figures, report and parameters.
    hashes : file -> MD5 of its bytes, which is also its name in DVC's cache.
    rows : reads a configuration's rows (prompt_id, decision, response); called only for a run that is logged.
    draw : draws such rows, with category and majority added, as a PNG.
    speed : model -> speed of its generation.
    provenance : model -> tags such as the git commit.
    """

    params: StudyParams
    prompts: pd.DataFrame
    prompts_hash: str
    tables: Mapping[str, pd.DataFrame]
    attachments: Mapping[str, Path]
    hashes: Mapping[Path, str]
    rows: Callable[[Condition], pd.DataFrame]
    draw: Callable[[pd.DataFrame, str], bytes]
    speed: Mapping[str, GenerationSpeed] = field(default_factory=dict)
    provenance: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The name of this version of the study: its parameters and prompts."""
        return study_digest(self.params, self.prompts_hash)


def read_tracked_study(
    params: StudyParams, params_path: Path, draw: Callable[[pd.DataFrame, str], bytes]
) -> TrackedStudy:
    """Read a study's files, except responses: they are read later, for the runs that are logged."""
    attachments = {f"figures/{path.name}": path for path in drawn_figures()}
    attachments |= {REPORT_ARTIFACT: REPORT} if REPORT.is_file() else {}
    attachments["params.yaml"] = params_path
    conditions = [condition for model in params.models for condition in params.conditions(model)]
    hashed = [PROMPTS, *attachments.values(), *map(generation_file, conditions), *map(label_file, conditions)]
    prompts = read_table(PROMPTS, PROMPT_TABLE)
    kept = ROWS_KEPT if len(prompts) <= MOST_PROMPTS_KEPT else 0
    return TrackedStudy(
        params=params,
        prompts=prompts,
        prompts_hash=file_md5(PROMPTS),
        tables={name: metric_table(name) for name, (path, _) in METRIC_TABLES.items() if path.is_file()},
        attachments=attachments,
        hashes={path: file_md5(path) for path in hashed},
        # The runs of a temperature and of its seeds follow each other: each reads the same rows.
        rows=lru_cache(kept)(lambda condition: _rows(condition, params.judging.of(condition.model).primary)),
        draw=draw,
        speed=_speed(params),
        provenance={model: provenance(model) for model in params.models},
    )


def drawn_figures() -> list[Path]:
    """The study's figures; a folder that may not be read is an error, and not a study without figures."""
    # `glob` would pass over such a folder.
    return sorted(path for path in FIGURES.iterdir() if path.suffix == ".png") if FIGURES.is_dir() else []


def _rows(condition: Condition, judge: str) -> pd.DataFrame:
    labels = read_table(label_file(condition), LABEL_TABLE)
    labels = labels[(labels["judge"] == judge) & (labels["repeat"] == 0)].rename(columns={"label": "decision"})
    generations = read_table(generation_file(condition), GENERATION_TABLE)
    columns = ["prompt_id", "decision", "response"]
    texts = generations[["prompt_id", "response"]]
    return labels.merge(texts, on="prompt_id", how="left", validate="one_to_one").fillna({"response": ""})[columns]


def _speed(params: StudyParams) -> dict[str, GenerationSpeed]:
    """Each model's speed from the completion store: all sessions of the engine that worked last, summed."""
    if not STORE.is_file():
        return {}
    with Store(STORE) as store:
        sessions = store.sessions()
    speed = {}
    for model in params.models:
        mine = [session for session in sessions if session.caption == model]
        same = [session for session in mine if session.identity == mine[-1].identity]
        if same:
            tokens, seconds = sum(s.completion_tokens for s in same), sum(s.seconds for s in same)
            speed[model] = GenerationSpeed(tokens, seconds, json.loads(same[-1].description))
    return speed
