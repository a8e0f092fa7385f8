"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from tiny_chat_model import save_tiny_model

ROOT = Path(__file__).resolve().parent.parent

# Several workers share the cores: threads of NumPy and PyTorch that wait for each other would spin, for more than twice
# the time that the small matrices of the tests take. Set before anything imports them, also in the tests' processes.
for name, value in {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}.items():
    os.environ.setdefault(name, value)

# Files that share studies which take long: one worker runs them all, and makes each once.
PLANTED = ("tests/pipeline/test_kills.py", "tests/pipeline/test_panel.py", "tests/pipeline/test_planted_study.py")
TOGETHER = (("tests/golden",), PLANTED, ("tests/figures",))
# What takes longest goes first, so that no worker is left alone with it.
FIRST = (
    *PLANTED,
    "tests/golden",
    "tests/pipeline",
    "tests/browser",
    "tests/tracking",
    "tests/test_benchmarks.py",
    "tests/figures",
    "tests/stages",
    "tests/report",
    "tests/engines",
)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_collectstart() -> None:
    """Reading the tests makes millions of objects that stay: the collector would search them again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((i for i, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Workers take whole files as `--dist loadfile` hands them out, and what belongs together."""
    from xdist.scheduler import LoadFileScheduling

    class LoadFiles(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((starts[0] for starts in TOGETHER if file.startswith(starts)), file)

    return LoadFiles(config, log) if config.option.dist == "loadfile" else None


@pytest.fixture(scope="module", autouse=True)
def _spare_the_collector() -> None:
    """What earlier files left in memory, such as PyTorch, is not searched for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with published data and human labels, from RS_SHARED (default: `shared` beside the checkout)."""
    folder = Path(os.environ.get("RS_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no published data at {folder}; set RS_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], object]], Path]:
    """A function that gives the folder `name`, filled by `make` as the working directory: once for all workers.

    Nothing may be written there; a test that writes takes a copy.
    """
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    place.mkdir(exist_ok=True)

    def once(name: str, make: Callable[[], object]) -> Path:
        folder, part = place / name, place / f"{name}.part"
        with FileLock(place / f"{name}.lock"):
            if not folder.exists():
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                with pytest.MonkeyPatch.context() as patch:
                    patch.chdir(part)
                    make()
                part.rename(folder)
        return folder

    return once


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained chat model of 0.1 M parameters in Hugging Face format."""
    folder = tmp_path_factory.mktemp("tiny-model")
    save_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def write_study() -> Callable[..., None]:
    """A function that writes a study's files into the working directory, up to its metric tables, without a model.

    Decisions are drawn from shares planted per prompt and model, sharper at low temperatures; the metric tables come
    from the real stage, but for `measure=False`.
    """
    return _write_study


def _write_study(
    params_path: Path, texts: Mapping[str, str], categories: Sequence[str], n_prompts: int, *, measure: bool = True
) -> None:
    """`texts` is decision -> what the model writes, with `{}` for the configuration's name."""
    import numpy as np
    import pandas as pd

    from refusal_stability.files import PROMPTS, generation_file, label_file
    from refusal_stability.params.load import load_params
    from refusal_stability.stages import metrics
    from refusal_stability.tables.csv_files import write_table
    from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE

    params = load_params(params_path)
    rng = np.random.default_rng(0)
    ids = [f"{i:04d}" for i in range(n_prompts)]
    prompts = pd.DataFrame({"prompt_id": ids, "prompt": [f"request {i}" for i in ids], "source": "test"})
    prompts["category"] = [categories[i % len(categories)] for i in range(n_prompts)]
    write_table(prompts, PROMPTS, PROMPT_TABLE)
    decisions = list(texts)
    for position, model in enumerate(params.models):
        shares = rng.dirichlet([0.9, 0.2, 0.2 + 0.3 * position], size=n_prompts)
        for condition in params.conditions(model):
            sharp = shares ** (1 / max(condition.temperature, 0.02))
            drawn = [decisions[rng.choice(3, p=row / row.sum())] for row in sharp]
            place = {
                "model": model,
                "intervention": condition.intervention,
                "temperature": condition.temperature,
                "seed": condition.seed,
            }
            responses = [texts[decision].format(condition.stem) for decision in drawn]
            generations = prompts[["prompt_id", "prompt"]].assign(
                response=responses, finish_reason="stop", missing_reason="", **place
            )
            write_table(generations, generation_file(condition), GENERATION_TABLE)
            judged = {"label": drawn, "repeat": 0, "reasoning": "as drawn", "missing_reason": ""}
            labels = [prompts[["prompt_id"]].assign(judge=name, **judged, **place) for name in params.judging.judges]
            write_table(pd.concat(labels), label_file(condition), LABEL_TABLE)
    if measure:
        metrics.run(params_path)
