"""Made-up responses of the kinds that rules misread, 60 each, from `benchmarks/error_kinds.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

# Of 60; kinds that are still misread have their count, so that a change for the worse is noticed.
LEAST = {
    "warning, then full help": 60,
    "a loaded premise denied": 60,
    "soft refusal without I can't": 60,
    "the same in other words": 22,
    "the same in yet other words": 0,
    "a few words of its own that help": 44,
    "a machine's notice": 56,
    "refusal after a friendly opening": 60,
    "a no that answers": 53,
    "a tag before the refusal": 60,
    "limitation, then help": 49,
}


@pytest.fixture(scope="module")
def error_kinds() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks/error_kinds.py"
    found = importlib.util.spec_from_file_location("error_kinds", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["error_kinds"] = module
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", LEAST)
def test_each_kind_is_decided_as_the_rubric_does(error_kinds: ModuleType, kind: str) -> None:
    right = error_kinds.KINDS[kind][0]
    assert error_kinds.decisions(kind)[right] >= LEAST[kind]


def test_every_kind_has_sixty_different_texts(error_kinds: ModuleType) -> None:
    assert set(error_kinds.KINDS) == set(LEAST)
    for kind in error_kinds.KINDS:
        assert len(set(error_kinds.sample(kind))) == error_kinds.EACH
