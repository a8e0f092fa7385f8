"""The study `validate`, run once for all pipeline tests in a copy of the checkout that holds no results."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pipeline_study import Study, copy_project


@pytest.fixture(scope="session")
def planted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study `validate` after one `dvc repro`; its models learn from half as many conversations."""
    study = copy_project(root, tmp_path_factory.mktemp("planted") / "project")
    params = study.folder / "params.yaml"
    text = params.read_text()
    for former, fewer in (
        ("profile: steady, seed: 1}", "profile: steady, seed: 1, samples_per_prompt: 80}"),
        ("profile: wavering, seed: 2}", "profile: wavering, seed: 2, samples_per_prompt: 80}"),
        ("seed: 3, samples_per_prompt: 80}", "seed: 3, samples_per_prompt: 40}"),
    ):
        assert former in text
        text = text.replace(former, fewer)
    params.write_text(text)
    study.run("dvc", "repro")
    return study


@pytest.fixture
def trained(planted: Study, tmp_path: Path) -> Study:
    """A copy of the project with trained models and prompts, and nothing behind them."""
    folder = tmp_path / "project"
    shutil.copytree(planted.folder, folder, ignore=shutil.ignore_patterns("mlruns", "tmp", "*.sqlite*"))
    for name in ("generations", "labels"):
        for model in (folder / "data" / name).glob("*/"):
            shutil.rmtree(model)
    return Study(folder)
