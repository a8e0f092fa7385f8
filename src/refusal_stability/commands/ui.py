"""Serve the study's runs in MLflow on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
import webbrowser
from contextlib import suppress
from pathlib import Path

from refusal_stability.local_port import require_free
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

WAIT_S = 120


def run(params_path: Path, port: int, headless: bool = False) -> None:
    """Print the address of the study's view; serve and open it where the runs are in the study's own database."""
    uri, study = tracking_uri(), load_params(params_path).study
    if uri == local_store():
        require_free(port, "make ui PORT=5001")
    with plain_errors(uri):
        experiment = find_experiment(open_client(uri), study)
    page = view_page(experiment) if experiment else ""
    if not experiment:
        print(f"MLflow has no runs of study {study} yet; log them with `make track`")
    print(f"{study} in MLflow: {address_of(page, port)}", flush=True)
    if uri == local_store():
        if not headless and has_screen():
            subprocess.Popen([sys.executable, "-m", __name__, f"http://{HOST}:{port}/", page], start_new_session=True)
        os.execve(sys.executable, server_command(port), os.environ | ENVIRONMENT)


def server_command(port: int) -> list[str]:
    """The command that serves the study's own database on this machine only."""
    store = ["--backend-store-uri", local_store(), "--host", HOST, "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "ui", *store]


def has_screen() -> bool:
    """Whether a browser could be opened here; a browser in a terminal would take that over."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def open_when_served(server: str, page: str) -> None:
    """Open a page of a server in the person's browser as soon as the server answers; give up after a while."""
    for _ in range(WAIT_S):
        with suppress(OSError), urllib.request.urlopen(f"{server}health", timeout=5):
            webbrowser.open(server + page)
            return
        time.sleep(1)


if __name__ == "__main__":
    open_when_served(*sys.argv[1:])
