"""Run plans -> MLflow, as an upsert.

A run that is in MLflow with the same content stays. A run with other content is logged again, then the old one is
deleted. Nothing else is touched. Only finished runs count, so a run that was cut short is replaced the next time.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_stability.files import PROMPTS
from refusal_stability.progress import progress
from refusal_stability.tracking.artifacts import RESPONSES, artifact_folders, folders_ahead
from refusal_stability.tracking.current import (
    CELL,
    CONTENT,
    DESCRIPTION,
    PARENT,
    LoggedStudy,
    differing_tags,
    read_recorded,
)
from refusal_stability.tracking.run_plan import RunPlan
from refusal_stability.tracking.server import (
    DATABASE,
    LOCAL_ARTIFACTS,
    find_experiment,
    local_store,
    only_writer,
    open_client,
    open_experiment,
    plain_errors,
)
from refusal_stability.tracking.tracked_study import REPORT_ARTIFACT, TrackedStudy
from refusal_stability.tracking.views import POSITION, report_link, saved_views, view_page

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run
    from mlflow.tracking import MlflowClient

STUDY_DIGEST = "study_digest"
PAGE = 1000
# Tags of a run by which it is known.
TOLD = (CELL, CONTENT, STUDY_DIGEST, POSITION, PARENT)
# By this tag MLflow's page finds the tables that runs are compared by.
TABLES = {"mlflow.loggedArtifacts": json.dumps([{"path": RESPONSES, "type": "table"}])}
# Without it MLflow opens the experiment with its chat tools.
EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
ABOUT = (
    "Would this model have refused if we had rolled the dice again? There is a run for each model and intervention, "
    "under it one for each temperature, and under that one for each seed. Tick runs and press Compare, or compare "
    "prompts with the table button. The saved views, above right, show the current version of the study."
)


@dataclass(frozen=True)
class Logged:
    """What was done: how many runs were `new`, `replaced` and `kept`, and the page that shows them."""

    tally: Counter[str]
    page: str


def log_runs(plans: Sequence[RunPlan], study: TrackedStudy, uri: str) -> Logged:
    """Bring MLflow in line with the plans of a study."""
    recorded = read_recorded(DATABASE, study.params.study, LOCAL_ARTIFACTS, TOLD) if uri == local_store() else None
    if recorded and (same := _already_logged(recorded, plans, study)):
        return same
    # MLflow decides which runs are logged. Those that are not on record will be, as a rule.
    there = recorded.contents() if recorded else set()
    expected = [position for position, plan in enumerate(plans) if (plan.cell, plan.content) not in there]
    with (
        artifact_folders(plans, expected, ahead=folders_ahead(len(study.prompts))) as artifacts_of,
        plain_errors(uri),
        only_writer(uri),
        progress("track, runs", len(plans)) as work,
    ):
        client = open_client(uri)
        experiment_id = open_experiment(client, study.params.study, uri)
        data_of = cache(partial(_data_input, study=study))
        found: dict[str, list[Run]] = {}
        for run in _runs(client, experiment_id):
            found.setdefault(run.data.tags.get(CELL, ""), []).append(run)
        tally: Counter[str] = Counter()
        run_ids: dict[str, str] = {}
        kept_runs = {p.cell: next((r for r in found.get(p.cell, []) if _is_current(r, p)), None) for p in plans}
        for position, plan in enumerate(plans):
            place = _place(study, position)
            place |= {PARENT: run_ids[plan.parent]} if plan.parent else {}
            versions = found.pop(plan.cell, [])
            kept = kept_runs[plan.cell]
            if kept is None:
                data = [data_of(name, file) for name, file in plan.data_files.items()]
                run_id = _log(client, experiment_id, plan, place, data, artifacts_of(position))
                tally["replaced" if versions else "new"] += 1
            else:
                run_id = kept.info.run_id
                _retag(client, kept, place)
                tally["kept"] += 1
            run_ids[plan.cell] = run_id
            old = [run.info.run_id for run in versions if run.info.run_id != run_id]
            # Children that no plan names, of an older version of the study, get the new parent first.
            for run in (run for runs in found.values() for run in runs if run.data.tags.get(PARENT) in old):
                _retag(client, run, {PARENT: run_id})
            for old_id in old:
                client.delete_run(old_id)
            work.advance()
        # Last, so that the views show runs that are there.
        first = next(iter(run_ids.values()))
        present = client.get_experiment(experiment_id).tags
        for key, value in differing_tags(present, _tags(study, experiment_id, first), experiment_id, ABOUT).items():
            client.set_experiment_tag(experiment_id, key, value)
        return Logged(tally, view_page(experiment_id))


def _already_logged(recorded: LoggedStudy, plans: Sequence[RunPlan], study: TrackedStudy) -> Logged | None:
    """What logging would say, where the study's own database has all of it; None where there is something to do."""
    run_ids = recorded.run_ids(plans, [_place(study, position) for position in range(len(plans))])
    if not run_ids:
        return None
    tags = _tags(study, recorded.experiment_id, run_ids[0])
    if differing_tags(recorded.tags, tags, recorded.experiment_id, ABOUT):
        return None
    return Logged(Counter(kept=len(plans)), view_page(recorded.experiment_id))


def _place(study: TrackedStudy, position: int) -> dict[str, str]:
    return {STUDY_DIGEST: study.digest, POSITION: f"{position:05d}"}


def _tags(study: TrackedStudy, experiment_id: str, first: str) -> dict[str, str]:
    """The experiment's tags; `first` is the run that has the report."""
    report = f"{report_link(experiment_id, first)} " if REPORT_ARTIFACT in study.attachments else ""
    return {**EXPERIMENT_KIND, DESCRIPTION: report + ABOUT, **saved_views(study.params, study.digest)}


def _log(
    client: MlflowClient,
    experiment_id: str,
    plan: RunPlan,
    place: Mapping[str, str],
    data: list[DatasetInput],
    artifacts: Path,
) -> str:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    every_tag = {**plan.tags, **plan.machine_tags, **place, CELL: plan.cell, CONTENT: plan.content, **TABLES}
    # What links to the run can only be written when it has an id.
    with_report = (artifacts / REPORT_ARTIFACT).is_file()
    every_tag |= {} if with_report else {DESCRIPTION: plan.note}
    run = client.create_run(experiment_id, tags=every_tag, run_name=plan.name)
    run_id, now = str(run.info.run_id), run.info.start_time
    note = f"{report_link(experiment_id, run_id)}\n\n{plan.note}"
    client.log_batch(
        run_id,
        [Metric(name, value, now, 0) for name, value in {**plan.metrics, **plan.machine_metrics}.items()],
        [Param(name, value) for name, value in plan.params.items()],
        [RunTag(DESCRIPTION, note)] if with_report else [],
        synchronous=True,
    )
    client.log_inputs(run_id, data)
    # Not the client's own: it asks for the run first, to learn what we know.
    repository: Any = get_artifact_repository(run.info.artifact_uri, tracking_uri=client.tracking_uri)
    repository.log_artifacts(str(artifacts))
    # Last: only a finished run counts as logged.
    client.set_terminated(run_id)
    return run_id


def _is_current(run: Run, plan: RunPlan) -> bool:
    return run.info.status == "FINISHED" and run.data.tags.get(CONTENT) == plan.content


def _retag(client: MlflowClient, run: Run, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if run.data.tags.get(key) != value:
            client.set_tag(run.info.run_id, key, value)


def every_run(study: str, uri: str) -> list[dict[str, Any]]:
    """Every finished run of a study as plain data, those that a later one replaced (`active` false) included."""
    from mlflow.entities import ViewType

    with plain_errors(uri):
        client = open_client(uri)
        experiment_id = find_experiment(client, study)
        found = list(_runs(client, experiment_id, ViewType.ALL)) if experiment_id else []
    return [
        {
            "started": int(run.info.start_time),
            "active": run.info.lifecycle_stage == "active",
            "params": dict(run.data.params),
            "tags": dict(run.data.tags),
            "metrics": dict(run.data.metrics),
        }
        for run in found
        if run.info.status == "FINISHED"
    ]


def _runs(client: MlflowClient, experiment_id: str, view: int = 1) -> Iterator[Run]:
    """The runs of an experiment; `view` is one of MLflow's `ViewType`, by default the active ones."""
    token = None
    while True:
        page = client.search_runs([experiment_id], run_view_type=view, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _data_input(name: str, path: Path, study: TrackedStudy) -> DatasetInput:
    """A file behind a run as a data set of MLflow, with the file's MD5 as its digest."""
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.entities import Dataset, DatasetInput, InputTag

    context = [InputTag("mlflow.data.context", name)]
    if path != PROMPTS:
        return DatasetInput(Dataset(name, study.hashes[path], "local", json.dumps({"uri": path.as_posix()})), context)
    with warnings.catch_warnings():
        # A local path can be read in two equal ways; MLflow takes the first.
        warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted in multiple ways")
        described = from_pandas(study.prompts, source=str(path), name=name, digest=study.prompts_hash)
    return DatasetInput(Dataset(**described.to_dict()), context)
