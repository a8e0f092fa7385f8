"""A study on disk with hostile prompts, drawn and reported by the real stages."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_study import report_study


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study whose figures and report are written."""
    return report_study(tmp_path_factory.mktemp("study"))
