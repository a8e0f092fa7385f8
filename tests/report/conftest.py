"""A study on disk with hostile prompts, drawn and reported by the real stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_study import report_study


@pytest.fixture(scope="session")
def reported(made_once: Callable[..., Path]) -> Path:
    """The folder of a study whose figures and report are written."""
    return made_once("reported", report_study)
