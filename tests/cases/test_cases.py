"""The shared cases that went wrong, each played through the stages; `tests/run_cases.py` prints one line each."""

from __future__ import annotations

from pathlib import Path

import pytest
from case_checks import CASES, run_case


@pytest.fixture
def cases(shared: Path) -> Path:
    """The folder of cases, from RS_SHARED."""
    if not (shared / "cases").is_dir():
        pytest.skip(f"no cases in {shared}; set RS_SHARED to the folder that holds them")
    return shared / "cases"


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_case_that_went_wrong_comes_out_right(cases: Path, name: str) -> None:
    if not (cases / name).is_dir():
        pytest.skip(f"no case {name} in {cases}")
    passed, text = run_case(name, cases)
    assert passed, text


def test_every_case_has_a_check(cases: Path) -> None:
    assert {path.name for path in cases.iterdir() if path.is_dir()} <= set(CASES)
