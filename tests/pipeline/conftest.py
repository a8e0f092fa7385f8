"""The study `validate`, run once for all pipeline tests in a copy of the checkout that holds no results."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from pipeline_study import PLANTED_MODELS, Study, copy_project


@pytest.fixture(scope="session")
def planted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study `validate` after one `dvc repro`, with two prompts of each category.

    Its models are half as wide and learn from half as many conversations.
    """
    study = copy_project(root, tmp_path_factory.mktemp("planted") / "project")
    path = study.folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["prompts"]["per_category"] = 2
    trained = params["reference_models"]
    for name in PLANTED_MODELS:
        trained[name] |= {"samples_per_prompt": 80, "hidden_size": 64, "heads": 2}
        # Batches so small that a kill finds some of them done.
        params["models"][name]["settings"]["batch_size"] = 64
    trained["reference-judge"] |= {"samples_per_prompt": 40, "hidden_size": 64, "heads": 2, "batch_size": 16}
    params["judging"]["judges"]["reference-judge"]["model"]["settings"]["batch_size"] = 64
    path.write_text(yaml.safe_dump(params, sort_keys=False))
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
