"""A study of a few lines through real DVC: sections that it leaves out take their defaults in every stage."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest
from connections import HOOK, strangers, watching
from pipeline_study import Study, copy_project

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.load import load_prompts

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]

SHORT = """study: short
models:
  old:
    engine: recorded
    path: data/raw/old
    settings: {name: old}
"""
SECOND = """  older:
    engine: recorded
    path: data/raw/old
    settings: {name: old}
"""
STAGES = ["params", "prompts", "generate@old", "judge@old", "metrics", "figures", "report", "track"]


@pytest.fixture(scope="module")
def short(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A project in git whose study is `SHORT`, with recorded answers to the built-in prompts, after one `dvc repro`."""
    study = copy_project(root, tmp_path_factory.mktemp("short") / "project")
    (study.folder / "params.yaml").write_text(SHORT)
    source = study.folder / "data/raw/old/data/generations/old"
    source.mkdir(parents=True)
    prompts = load_prompts(PromptParams())
    for temperature in (0.0, 0.3, 0.7, 1.0):
        for seed in range(42, 47):
            with (source / f"old_temp{temperature!r}_seed{seed}_generations.csv").open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["prompt", "response", "model", "temperature", "seed"])
                for number, prompt in enumerate(prompts):
                    refuses = (number + seed * temperature) % 3 < 1
                    text = "I'm sorry, but I can't help with that." if refuses else f"Sure, here is how: step {seed}."
                    rows.writerow([prompt.text, text, "old", temperature, seed])
    study.run("dvc", "config", "--local", "core.no_scm", "false")
    study.environment |= watching(study.folder.parent / "connections")
    study.environment["PYTHONPATH"] = f"{HOOK}{os.pathsep}{study.folder / 'src'}"
    for command in ("init -q", "config user.name t", "config user.email t@example.org", "add -A", "commit -qm before"):
        study.run("git", *command.split())
    study.log = study.run("dvc", "repro").stdout  # type: ignore[attr-defined]
    return study


def ran(output: str) -> list[str]:
    """The stages that DVC ran, in order."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def test_a_study_of_six_lines_runs_through_every_stage(short: Study) -> None:
    assert ran(short.log) == STAGES  # type: ignore[attr-defined]
    summary = json.loads((short.folder / "data/metrics/summary.json").read_text())
    assert (summary["study"], summary["n_responses"], summary["n_missing"]) == ("short", 84 * 20, 0)
    assert ran(short.run("dvc", "repro").stdout) == []
    assert strangers(short.folder.parent / "connections") == []


# The next two need the tables of the study as it is: they come before those that change it.
def test_params_diff_names_what_changed(short: Study) -> None:
    (short.folder / "params.yaml").write_text(SHORT + "metrics: {threshold: 0.7}\n")
    changes = json.loads(short.run("dvc", "params", "diff", "--json").stdout)
    (short.folder / "params.yaml").write_text(SHORT)
    assert changes == {"params.yaml": {"metrics.threshold": {"old": None, "new": 0.7}}}


def test_an_experiment_may_set_a_parameter_that_the_study_leaves_out(short: Study) -> None:
    stages = ran(short.run("dvc", "exp", "run", "-S", "+metrics.threshold=0.7", "metrics").stdout)
    assert stages == ["params", "metrics"]
    (short.folder / "params.yaml").write_text(SHORT + "metrics: {threshold: 0.7}\n")
    stages = ran(short.run("dvc", "exp", "run", "-S", "metrics.threshold=0.75", "metrics").stdout)
    assert stages == ["params", "metrics"]


@pytest.fixture(scope="module")
def edited(short: Study) -> subprocess.CompletedProcess[str]:
    """A `dvc repro` of the study with one more model, while which another parameter is edited."""
    params = short.folder / "params.yaml"
    params.write_text(SHORT + SECOND)
    running = short.start("dvc", "repro", piped=True)
    assert running.stdout is not None
    before = []
    for line in running.stdout:
        before.append(line)
        if line.startswith("Running stage 'generate@older'"):
            break
    params.write_text(SHORT + SECOND + "metrics: {threshold: 0.7}\n")
    said = "".join(before) + running.communicate()[0]
    return subprocess.CompletedProcess(running.args, running.returncode, said)


def test_a_new_model_asks_and_judges_only_that_model(edited: subprocess.CompletedProcess[str]) -> None:
    stages = ran(edited.stdout)
    assert "generate@older" in stages
    assert "judge@older" in stages
    assert {"prompts", "generate@old", "judge@old"} & {*stages} == set(), edited.stdout


def test_parameters_edited_while_dvc_runs_are_not_recorded_for_what_was_made_before(
    short: Study, edited: subprocess.CompletedProcess[str]
) -> None:
    assert edited.returncode != 0
    message = "error: params.yaml: metrics was edited after stage params; nothing was done; run `dvc repro` again"
    assert message in edited.stdout
    # The next run starts from the edited file, and asks nothing again.
    assert ran(short.run("dvc", "repro", "metrics").stdout) == ["params", "metrics"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: x\n", "models: {} is not allowed; allowed: at least one model"),
        (SHORT + "prompts: {source: beaver}\n", "prompts.source: 'beaver' is not allowed; allowed: one of advbench"),
        (SHORT + "metrics: {threshhold: 1}\n", "metrics.threshhold: unknown key; allowed here: threshold"),
    ],
)
def test_what_is_wrong_is_said_by_the_first_stage(short: Study, text: str, message: str) -> None:
    (short.folder / "params.yaml").write_text(text)
    failed = short.run("dvc", "repro", check=False)
    assert failed.returncode != 0
    assert ran(failed.stdout) == ["params"]
    assert message in failed.stderr
