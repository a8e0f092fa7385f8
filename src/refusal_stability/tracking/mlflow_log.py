"""Run plans -> MLflow, as an upsert. The only module that imports mlflow.

A run whose cell and content stand in MLflow already is left alone; one with other content is logged again, and then the
old one deleted; anything else stays. A run counts only once it is finished, so that whatever a kill left half-logged
is replaced the next time. The study's files are the truth and MLflow a view of them, which can be rebuilt at any time.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pandas as pd

from refusal_stability.records import StudyError
from refusal_stability.tracking.plans import RunPlan
from refusal_stability.tracking.study import Study
from refusal_stability.tracking.views import POSITION, saved_views

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run
    from mlflow.tracking import MlflowClient

DATABASE = Path("mlruns/mlflow.db")
LOCAL_ARTIFACTS = Path("mlruns/artifacts")
CELL, CONTENT, STUDY_DIGEST, PARENT = "cell", "content", "study_digest", "mlflow.parentRunId"
SQLITE = "sqlite:///"
LOOPBACK = "http://127.0.0.1:5000"
PAGE = 1000
AHEAD = 3
# MLflow's page opens on its chat tools unless the link says what the experiment is.
VIEW = "workflowType=machine_learning&viewStateShareKey=configurations"
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": (
        "Would this model have refused if we had rolled the dice again? A parent run for each model and intervention, "
        "a child run for each temperature and seed. The saved views, above right, show the present version of the "
        "study."
    ),
}
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A server that takes a connection and never answers is given up after about a minute.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class TrackingError(StudyError):
    """MLflow could not be written: names the store, the cause, and how to track later."""


def tracking_uri() -> str:
    """Where runs go: `MLFLOW_TRACKING_URI`, or the study's own database, however that is spelt."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or local_store()
    own = uri.startswith(SQLITE) and Path(uri.removeprefix(SQLITE)).resolve() == DATABASE.resolve()
    return local_store() if own else uri


def where_to_look(page: str) -> str:
    """How a person comes to see a `page` of the runs: its address, and what has to run for that, if not `make ui`."""
    uri = tracking_uri()
    if uri.startswith("http"):
        return f"{_without_login(uri).rstrip('/')}/{page}"
    if uri == local_store():
        return f"{LOOPBACK}/{page}"
    return f"{LOOPBACK}/{page} while `mlflow ui --backend-store-uri {_without_login(uri)}` runs"


def local_store() -> str:
    """The address of the study's own database; absolute, because MLflow keeps one connection for each address."""
    return f"sqlite:///{DATABASE.resolve()}"


@dataclass(frozen=True)
class Tracked:
    """What tracking did: how many runs were `new`, `replaced` and `kept`, and where they are to be seen."""

    tally: Counter[str]
    page: str


def log_plans(plans: Sequence[RunPlan], study: Study, prompts: Path, uri: str) -> Tracked:
    """Bring MLflow in line with the plans of a study, whose `prompts` file every run names as its data set."""
    from rich.console import Console
    from rich.progress import track

    screen = Console(stderr=True)
    with named_errors(uri):
        client = open_client(uri)
        experiment_id = experiment_called(client, study.params.study, uri)
        dataset = _dataset(study.prompts, prompts, study.prompts_hash)
        found: dict[str, list[Run]] = {}
        for run in _active_runs(client, experiment_id):
            found.setdefault(run.data.tags.get(CELL, ""), []).append(run)
        tally: Counter[str] = Counter()
        run_ids: dict[str, str] = {}
        kept_runs = {p.cell: next((r for r in found.get(p.cell, []) if _is_current(r, p)), None) for p in plans}
        prepared = _prepared([plan for plan in plans if kept_runs[plan.cell] is None])
        with closing(prepared):
            quiet = not screen.is_terminal
            for position, plan in enumerate(track(plans, "tracking", console=screen, transient=True, disable=quiet)):
                aside = {STUDY_DIGEST: study.digest, POSITION: f"{position:05d}"}
                aside |= {PARENT: run_ids[plan.parent]} if plan.parent else {}
                versions = found.pop(plan.cell, [])
                kept = kept_runs[plan.cell]
                if kept is None:
                    run_id = _log(client, experiment_id, plan, aside, dataset, next(prepared))
                    tally["replaced" if versions else "new"] += 1
                else:
                    run_id = kept.info.run_id
                    _retag(client, kept, aside)
                    tally["kept"] += 1
                run_ids[plan.cell] = run_id
                old = [run.info.run_id for run in versions if run.info.run_id != run_id]
                # Children of an older version of the study, which no plan names, follow their parent before it goes.
                for run in (run for runs in found.values() for run in runs if run.data.tags.get(PARENT) in old):
                    _retag(client, run, {PARENT: run_id})
                for old_id in old:
                    client.delete_run(old_id)
        # Last: the views show what is there by now.
        _tag_experiment(client, experiment_id, EXPERIMENT_TAGS | saved_views(study))
        return Tracked(tally, f"#/experiments/{experiment_id}/runs?{VIEW}")


def _prepared(plans: Sequence[RunPlan]) -> Generator[Path, None, None]:
    """A folder with each plan's artifacts, in turn; the next ones are written while MLflow is waited for."""
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(1) as writer:

        def write(position: int) -> Path:
            folder = Path(place) / str(position)
            folder.mkdir()
            plans[position].write(folder)
            return folder

        ahead = deque(writer.submit(write, position) for position in range(min(AHEAD, len(plans))))
        try:
            for position in range(len(plans)):
                folder = ahead.popleft().result()
                if position + AHEAD < len(plans):
                    ahead.append(writer.submit(write, position + AHEAD))
                yield folder
                shutil.rmtree(folder)
        finally:
            for waiting in ahead:
                waiting.cancel()


def _log(
    client: MlflowClient,
    experiment_id: str,
    plan: RunPlan,
    aside: Mapping[str, str],
    dataset: DatasetInput,
    artifacts: Path,
) -> str:
    from mlflow.entities import Metric, Param

    metrics, tags = plan.aside
    every_tag = {**tags, **plan.tags, **aside, CELL: plan.cell, CONTENT: plan.content}
    run = client.create_run(experiment_id, tags=every_tag, run_name=plan.name)
    run_id, now = str(run.info.run_id), run.info.start_time
    client.log_batch(
        run_id,
        [Metric(name, value, now, 0) for name, value in {**plan.metrics, **metrics}.items()],
        [Param(name, value) for name, value in plan.params.items()],
        synchronous=True,
    )
    client.log_inputs(run_id, [dataset])
    client.log_artifacts(run_id, str(artifacts))
    # Last of all: only a finished run counts as logged.
    client.set_terminated(run_id)
    return run_id


def _is_current(run: Run, plan: RunPlan) -> bool:
    return run.info.status == "FINISHED" and run.data.tags.get(CONTENT) == plan.content


def _retag(client: MlflowClient, run: Run, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if run.data.tags.get(key) != value:
            client.set_tag(run.info.run_id, key, value)


def _active_runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def open_client(uri: str) -> MlflowClient:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if uri == local_store():
        LOCAL_ARTIFACTS.mkdir(parents=True, exist_ok=True)
        _write_ahead()
    from mlflow.tracking import MlflowClient

    # Making a new database is announced line by line; that is not what a person who tracks a study wants to read.
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


@cache
def _write_ahead() -> None:
    """Let SQLite collect its writes: MLflow commits ten times a run, and each commit waited for the disk.

    A crash of the machine may lose the last runs, which the next tracking logs again; it does not harm the database.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "connect")
    def settle(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            # Fails on a file that is no database, which MLflow then says by itself.
            with suppress(sqlite3.DatabaseError):
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")


def experiment_called(client: MlflowClient, name: str, uri: str) -> str:
    """The study's experiment; one that was deleted by hand comes back, so that its name can be used."""
    # MLflow stores artifact paths as they are given, and a relative one would follow whoever reads it.
    place = str(LOCAL_ARTIFACTS.resolve()) if uri == local_store() else None
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return client.create_experiment(name, artifact_location=place)
    if place is not None and experiment.artifact_location not in (place, Path(place).as_uri()):
        raise TrackingError(
            f"mlruns/: this folder was copied or moved: its artifacts are recorded at {experiment.artifact_location}; "
            "move mlruns/ away, and rebuild it here with `make track`"
        )
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id


def _tag_experiment(client: MlflowClient, experiment_id: str, tags: Mapping[str, str]) -> None:
    """Set what differs; a description that a person has written stays."""
    present = client.get_experiment(experiment_id).tags
    for key, value in tags.items():
        if present.get(key) != value and not (key == "mlflow.note.content" and key in present):
            client.set_experiment_tag(experiment_id, key, value)


def _dataset(prompts: pd.DataFrame, path: Path, digest: str) -> DatasetInput:
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.entities import Dataset, DatasetInput, InputTag

    with warnings.catch_warnings():
        # Two equal readings of a local path; MLflow takes the first.
        warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted in multiple ways")
        described = from_pandas(prompts, source=str(path), name="prompts", digest=digest)
    return DatasetInput(Dataset(**described.to_dict()), [InputTag("mlflow.data.context", "prompts")])


@contextmanager
def named_errors(uri: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        # What a network does is an OSError too; what is left is a file or folder of this machine.
        if isinstance(error, OSError) and not isinstance(error, (RequestException, ConnectionError, TimeoutError)):
            place = error.filename2 or error.filename or tempfile.gettempdir()
            raise TrackingError(
                f"{place}: {error.strerror or error}; a run's artifacts could not be written on this machine: free "
                "some space or see to the folder's rights, then track with `make track`; the study's own files are "
                "complete"
            ) from error
        reason = " ".join(str(error).split())
        password = urlsplit(uri).password
        if password:
            reason = reason.replace(password, "***")
        raise TrackingError(
            f"MLflow at {_without_login(uri)} could not be written: {reason[:300]}; the study's own files are "
            "complete: when MLflow is back (or MLFLOW_TRACKING_URI names another), track them with `make track`"
        ) from error


def _without_login(uri: str) -> str:
    place = urlsplit(uri).netloc
    return uri.replace(f"//{place}", f"//{place.rpartition('@')[2]}", 1) if place else uri
