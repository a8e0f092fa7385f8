"""MLflow's tracking server: where it is, how to reach it, and its errors in plain words.

With mlflow_log.py and review/mlflow_queue.py, the only modules that import mlflow.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from refusal_stability.records import StudyError
from refusal_stability.tracking.database import alone, make_whole

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DATABASE = Path("mlruns/mlflow.db")
LOCAL_ARTIFACTS = Path("mlruns/artifacts")
SQLITE = "sqlite:///"
HOST, PORT = "127.0.0.1", 5000
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A study has no jobs for the server to run; their eight processes cost more than the server itself.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Give up after about a minute on a server that accepts the connection and never answers.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
ADDRESSES = (
    "http(s)://host:port, or the address of a database, such as sqlite:///file.db. A token belongs in the environment "
    "variable MLFLOW_TRACKING_TOKEN, a password in MLFLOW_TRACKING_PASSWORD"
)
WHEN_BACK = "When MLflow is back, or MLFLOW_TRACKING_URI names another server, run `make track`"
MOVE_AWAY = "Free space and end other writers, or move mlruns/ away where the file is damaged. Then run `make track`"


class TrackingError(StudyError):
    """MLflow could not be used: names the server, the cause, and how to track later."""


def tracking_uri() -> str:
    """Where runs go: `MLFLOW_TRACKING_URI`, or the study's own database, however it is spelt."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or local_store()
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise TrackingError(f"MLFLOW_TRACKING_URI: not an address: {error}; correct it, or unset it") from error
    # MLflow appends its paths to the whole address. Databases take their options there.
    if not parts.scheme or (parts.scheme.startswith("http") and (parts.query or parts.fragment)):
        raise TrackingError(f"MLFLOW_TRACKING_URI: (not shown) is not allowed; allowed: {ADDRESSES}")
    own = uri.startswith(SQLITE) and Path(uri.removeprefix(SQLITE)).resolve() == DATABASE.resolve()
    return local_store() if own else uri


def local_store() -> str:
    """The address of the study's own database; absolute, because MLflow keeps one connection for each address."""
    return f"{SQLITE}{DATABASE.resolve()}"


def address_of(page: str, port: int = PORT) -> str:
    """The address of a `page` of MLflow, and the command that must run for it where `make ui` does not serve it."""
    uri = tracking_uri()
    if uri.startswith("http"):
        return f"{_without_login(uri).rstrip('/')}/{page}"
    served = f"http://{HOST}:{port}/{page}"
    if uri == local_store():
        return served
    return f"{served} while `mlflow ui --backend-store-uri {_without_login(uri)}` runs"


def open_client(uri: str) -> MlflowClient:
    """A client of the server or database at `uri`; the study's own database is made where there is none."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if uri == local_store():
        LOCAL_ARTIFACTS.mkdir(parents=True, exist_ok=True)
        _write_ahead()
    from mlflow.tracking import MlflowClient

    # MLflow announces each step of making a database.
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if uri == local_store():
        make_whole(DATABASE, lambda aside: _make_database(MlflowClient(tracking_uri=f"{SQLITE}{aside.resolve()}")))
    return MlflowClient(tracking_uri=uri)


def _make_database(client: MlflowClient) -> None:
    client.search_experiments(max_results=1)


@cache
def _write_ahead() -> None:
    """Let SQLite collect its writes: MLflow commits ten times a run, and each commit waits for the disk.

    A crash of the machine may lose the last runs, which the next tracking logs again. The database stays intact.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "connect")
    def settle(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            # Fails on a file that is no database; MLflow then reports it.
            with suppress(sqlite3.DatabaseError):
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")


def open_experiment(client: MlflowClient, name: str, uri: str) -> str:
    """The id of the experiment with this name: made where there is none, restored where it was deleted."""
    # MLflow stores artifact paths as given; a relative one would depend on the reader's working directory.
    place = str(LOCAL_ARTIFACTS.resolve()) if uri == local_store() else None
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return client.create_experiment(name, artifact_location=place)
    if place is not None and experiment.artifact_location not in (place, Path(place).as_uri()):
        raise TrackingError(
            f"mlruns/: this folder was copied or moved. Its artifacts are recorded at {experiment.artifact_location}. "
            "Move mlruns/ away, then rebuild it here with `make track`"
        )
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id


@contextmanager
def only_writer(uri: str) -> Iterator[None]:
    """Wait for another process that logs into the study's own database: two would log each run twice."""
    if uri != local_store():
        yield
        return
    with alone(DATABASE.with_name(".track.lock"), "logs a study to MLflow"):
        yield


def find_experiment(client: MlflowClient, name: str) -> str | None:
    """The id of the experiment with this name, if it is there and not deleted."""
    experiment = client.get_experiment_by_name(name)
    return experiment.experiment_id if experiment and experiment.lifecycle_stage == "active" else None


@contextmanager
def plain_errors(uri: str) -> Iterator[None]:
    """Turn whatever MLflow, its database or the network raises into a `TrackingError` that says what to do."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ImportError as error:
        raise TrackingError(
            f"MLflow at {_without_login(uri)} needs a Python package that is not installed ({error}); install the "
            "database's driver, or let MLFLOW_TRACKING_URI name another server. The study's own files are complete"
        ) from error
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        # Network failures are OSErrors too; any other OSError is about a file or folder on this machine.
        if isinstance(error, OSError) and not isinstance(error, (RequestException, ConnectionError, TimeoutError)):
            place = error.filename2 or error.filename or tempfile.gettempdir()
            raise TrackingError(
                f"{place}: {error.strerror or error}. A run's artifacts could not be written on this machine. Free "
                "some space or check the folder's permissions, then run `make track`. The study's own files are "
                "complete"
            ) from error
        reason = _cleaned(" ".join(str(error).split()), uri)
        raise TrackingError(
            f"MLflow at {_without_login(uri)} could not be written: {reason[:300]}. The study's own files are "
            f"complete. {MOVE_AWAY if uri == local_store() else WHEN_BACK}"
        ) from error


def _without_login(uri: str) -> str:
    """An address as it may be shown: no login, and none of the options, in which a password may stand."""
    parts = urlsplit(uri)
    address, place = re.split("[?#]", uri, maxsplit=1)[0], parts.netloc
    return address.replace(f"//{place}", f"//{place.rpartition('@')[2]}", 1) if place else address


def _cleaned(text: str, uri: str) -> str:
    """What MLflow says, without what only the address's owner may know, in whatever form it is repeated."""
    from refusal_stability.engines.http.secrets import Secrets

    parts, hidden = urlsplit(uri), Secrets()
    login = parts.netloc.rpartition("@")[0]
    # The user's name is no secret where a password stands beside it.
    # ODBC's options stand within one of the address's.
    options = [part.rpartition("=")[2] for _, value in parse_qsl(parts.query) for part in value.split(";")]
    for secret in (login, login.partition(":")[2], parts.query, parts.fragment, *options):
        hidden.add(secret)
        hidden.add(unquote(secret))
    return hidden.cut_from(text)
