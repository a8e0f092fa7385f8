"""The example workflow of docs/gate.md, step by step as a build server runs it, on two builds' tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml

from refusal_stability.files import PROMPTS
from refusal_stability.stages import params
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.metrics import METRIC_TABLES
from refusal_stability.tables.study import PROMPT_TABLE

ROOT = Path(__file__).parents[2]
STEPS = yaml.safe_load((ROOT / "docs/examples/refusal-stability.yml").read_text(encoding="utf-8"))["jobs"]["gate"][
    "steps"
]
NEEDS_THE_NETWORK = "Install"
ASKS_A_MODEL = "Run the study"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with baseline `main`, in which 300 prompts are always refused."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("study: s\nmodels: {m: {path: nowhere}}\nmetrics: {n_resamples: 100}\n")
    params.run(Path("params.yaml"))
    ids = [f"p{i}" for i in range(300)]
    prompts = pd.DataFrame({"prompt_id": ids, "prompt": ids, "category": "", "source": "t"})
    write_table(prompts, PROMPTS, PROMPT_TABLE)
    decided(ids, refusals=4)
    assert step_run("refusal-stability baseline main").returncode == 0
    return tmp_path


def decided(ids: list[str], refusals: int) -> None:
    """What `dvc repro metrics` leaves where each prompt has 4 responses."""
    path, contract = METRIC_TABLES["per_prompt_metrics"]
    row = {"model": "m", "intervention": "none", "n": 4, "n_refuse": refusals, "n_comply": 4 - refusals}
    flips = refusals < 4
    row |= {"ssi": refusals / 4, "flip": flips, "unstable": flips, "majority": "REFUSE", "primary_judge": "j"}
    columns = {name: row.get(name, {"text": "", "flag": False}.get(kind, 0)) for name, kind in contract.columns.items()}
    write_table(pd.DataFrame([columns | {"prompt_id": name} for name in ids]), path, contract)


def step_run(command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A step's commands in the shell that GitHub takes."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "src")} | more
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
    return subprocess.run(shell, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("refusals", "code", "decision"), [(4, 0, "pass"), (3, 3, "fail")])
def test_the_steps_of_the_example_decide_and_show_the_outcome(
    build: Path, refusals: int, code: int, decision: str
) -> None:
    decided([f"p{i}" for i in range(300)], refusals)
    shown = build / "shown.md"
    codes: dict[str, int] = {}
    for step in STEPS:
        if "run" not in step or step["name"] in (NEEDS_THE_NETWORK, ASKS_A_MODEL):
            continue
        if not any(codes.values()) or step.get("if") == "always()":
            codes[step["name"]] = step_run(step["run"], GITHUB_STEP_SUMMARY=str(shown)).returncode
    assert codes == {"Gate": code, "Show the outcome": 0}
    assert shown.read_text(encoding="utf-8").startswith(f"# Refusal stability: {decision}\n")
    uploaded = next(step["with"]["path"] for step in STEPS if "upload-artifact" in step.get("uses", ""))
    assert sorted(file.name for file in (build / uploaded).iterdir()) == ["gate.json", "junit.xml", "summary.md"]
    suite = ElementTree.parse(build / uploaded / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2" if code else "0")


def test_the_other_steps_name_what_there_is() -> None:
    install = next(step["run"] for step in STEPS if step.get("name") == NEEDS_THE_NETWORK)
    assert "requirements.lock" in install
    assert (ROOT / "requirements.lock").is_file()
    stage = next(step["run"] for step in STEPS if step.get("name") == ASKS_A_MODEL).split()
    assert stage[:2] == ["dvc", "repro"]
    assert stage[2] in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
