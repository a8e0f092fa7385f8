"""The files of all figures of one study, which several files of tests look at."""

from __future__ import annotations

import pytest
from synthetic_study import synthetic_study

from refusal_stability.figures.pages import study_pages


@pytest.fixture(scope="session")
def drawn_alone() -> dict[str, bytes]:
    """The files of every figure that the study of two models has, drawn by this process alone."""
    study = synthetic_study()
    return study_pages(study.tables, study.series_set, processes=1)
