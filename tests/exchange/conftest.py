"""Every test imports into a folder of its own; some need the packages of other harnesses."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _with_packages_of_other_harnesses(request: pytest.FixtureRequest) -> None:
    if marker := request.node.get_closest_marker("logs"):
        pytest.importorskip(marker.args[0], reason=f"needs {marker.args[0]}: make test-logs")
