"""Whether the study's own database holds every run as planned, asked of SQLite.

To import MLflow and have it load every run takes longer than all other work of a study that did not change. Where
anything differs, or MLflow keeps its tables in another way, the answer is no: MLflow then says what there is.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from refusal_stability.tracking.run_plan import RunPlan
from refusal_stability.tracking.views import report_link

CELL, CONTENT, PARENT = "cell", "content", "mlflow.parentRunId"
DESCRIPTION = "mlflow.note.content"


def differing_tags(
    present: Mapping[str, str], wanted: Mapping[str, str], experiment_id: str, about: str
) -> dict[str, str]:
    """The tags of an experiment that have to be set; a description that a person wrote or changed stays."""
    link = re.escape(report_link(experiment_id, "RUN")).replace("RUN", "[0-9a-f]+")
    own = re.fullmatch(f"(({link} )?{re.escape(about)})?", present.get(DESCRIPTION, ""))
    return {k: v for k, v in wanted.items() if present.get(k) != v and (k != DESCRIPTION or own)}


class LoggedStudy:
    """An experiment of the study's own database, as it was when it was read.

    Attributes
    ----------
    experiment_id : as MLflow names it.
    tags : of the experiment.
    runs : run id -> status, and the tags that were asked for, of each active run.
    """

    def __init__(self, experiment_id: str, tags: dict[str, str], runs: dict[str, tuple[str, dict[str, str]]]) -> None:
        self.experiment_id, self.tags, self.runs = experiment_id, tags, runs

    def contents(self) -> set[tuple[str, str]]:
        """The cell and content of each finished run."""
        finished = [tags for status, tags in self.runs.values() if status == "FINISHED"]
        return {(tags.get(CELL, ""), tags.get(CONTENT, "")) for tags in finished}

    def run_ids(self, plans: Sequence[RunPlan], places: Sequence[Mapping[str, str]]) -> list[str] | None:
        """The run of each plan in turn, where each is there once, finished, with these contents, places and parents."""
        by_cell: dict[str, list[str]] = {}
        for run_id, (_, tags) in self.runs.items():
            by_cell.setdefault(tags.get(CELL, ""), []).append(run_id)
        found: dict[str, str] = {}
        for plan, place in zip(plans, places, strict=True):
            same = by_cell.get(plan.cell, [])
            if len(same) != 1:
                return None
            status, tags = self.runs[same[0]]
            wanted = {CONTENT: plan.content, **place} | ({PARENT: found[plan.parent]} if plan.parent else {})
            if status != "FINISHED" or any(tags.get(key) != value for key, value in wanted.items()):
                return None
            found[plan.cell] = same[0]
        return list(found.values())


def read_recorded(database: Path, study: str, artifacts: Path, keys: Sequence[str]) -> LoggedStudy | None:
    """What is recorded of a study; None where there is no such experiment, or the database cannot be read."""
    # The path may hold what an address may not.
    address = f"file:{quote(str(database.resolve()))}?mode=ro"
    places = (str(artifacts.resolve()), artifacts.resolve().as_uri())
    try:
        with closing(sqlite3.connect(address, uri=True)) as opened:
            experiments = opened.execute(
                "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments WHERE name = ?", [study]
            ).fetchall()
            if len(experiments) != 1 or experiments[0][1] not in places or experiments[0][2] != "active":
                return None
            number = experiments[0][0]
            tags = opened.execute("SELECT key, value FROM experiment_tags WHERE experiment_id = ?", [number]).fetchall()
            active = "FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"
            runs = opened.execute(f"SELECT run_uuid, status {active}", [number]).fetchall()
            marks = ", ".join("?" * len(keys))
            asked = f"SELECT run_uuid, key, value FROM tags WHERE key IN ({marks})"
            of_runs = opened.execute(f"{asked} AND run_uuid IN (SELECT run_uuid {active})", [*keys, number]).fetchall()
    except sqlite3.Error:
        return None
    found: dict[str, tuple[str, dict[str, str]]] = {run_id: (status, {}) for run_id, status in runs}
    for run_id, key, value in of_runs:
        # A run that came between the two questions: ask MLflow.
        if run_id not in found:
            return None
        found[run_id][1][key] = value
    return LoggedStudy(str(number), dict(tags), found)
