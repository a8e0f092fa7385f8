"""Serve the study's runs in MLflow on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from refusal_stability.params.load import load_params
from refusal_stability.tracking.server import (
    ENVIRONMENT,
    HOST,
    address_of,
    find_experiment,
    local_store,
    open_client,
    plain_errors,
    tracking_uri,
)
from refusal_stability.tracking.views import view_page


def run(params_path: Path, port: int) -> None:
    """Print the address of the study's view; serve it where the runs are in the study's own database."""
    uri, study = tracking_uri(), load_params(params_path).study
    with plain_errors(uri):
        experiment = find_experiment(open_client(uri), study)
    page = view_page(experiment) if experiment else ""
    if not experiment:
        print(f"MLflow has no runs of study {study} yet; log them with `make track`")
    print(f"{study} in MLflow: {address_of(page, port)}", flush=True)
    if uri == local_store():
        os.execve(sys.executable, server_command(port), os.environ | ENVIRONMENT)


def server_command(port: int) -> list[str]:
    """The command that serves the study's own database on this machine only."""
    store = ["--backend-store-uri", local_store(), "--host", HOST, "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "ui", *store]
