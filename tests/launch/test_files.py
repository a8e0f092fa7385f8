"""The launch files: SkyPilot reads its own, and all name targets, studies and settings that are there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "launch"
FILES = sorted(LAUNCH.glob("*.yaml"))
SHELLCHECK = shutil.which("shellcheck", path=os.pathsep.join(str(Path(place) / "bin") for place in sys.path))
READ = """
import sys, yaml, sky
from sky.utils import common_utils, schemas
for file in sys.argv[1:]:
    found = yaml.safe_load(open(file))
    common_utils.validate_schema(found, schemas.get_task_schema())
    common_utils.validate_schema(dict(found["resources"]), schemas.get_resources_schema())
    for mount in found["file_mounts"].values():
        common_utils.validate_schema(mount, schemas.get_storage_schema())
    secrets = [(name, "x") for name in found["secrets"]]
    task = sky.Task.from_yaml_config(found, env_overrides=[("BUCKET", "a-bucket")], secrets_overrides=secrets)
    spot = {option.use_spot for option in task.resources}
    print(task.name, task.num_nodes, spot, sorted({n for o in task.resources for n in o.accelerators.values()}))
"""


@pytest.mark.logs
@pytest.mark.skipif(find_spec("sky") is None, reason="SkyPilot is not there: make test-logs")
def test_skypilot_itself_reads_the_files(tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    command = [sys.executable, "-c", READ, *map(str, FILES)]
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["refusal-stability-nodes 2 {True} [8]", "refusal-stability 1 {True} [1]"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILES[0].read_text().replace("num_nodes: 2", "nodes: 2"))
    refused = subprocess.run([*command[:3], str(wrong)], env=env, capture_output=True, text=True, check=False)
    assert "nodes" in refused.stderr
    assert refused.returncode != 0


@pytest.mark.logs
@pytest.mark.skipif(SHELLCHECK is None, reason="ShellCheck is not there: make test-logs")
@pytest.mark.parametrize("file", [*FILES, LAUNCH / "slurm.sbatch"], ids=lambda file: file.name)
def test_shellcheck_finds_nothing_in_a_launch_script(file: Path) -> None:
    text = file.read_text()
    found = yaml.safe_load(text) if file.suffix == ".yaml" else {"run": text}
    for script in (found.get("setup", ""), found["run"]):
        command = [str(SHELLCHECK), "--shell=bash", "-"]
        checked = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert checked.stdout == ""


@pytest.mark.parametrize("file", [*FILES, LAUNCH / "slurm.sbatch"], ids=lambda file: file.name)
def test_a_launch_script_is_shell_and_names_what_is_there(file: Path) -> None:
    text = file.read_text()
    found = yaml.safe_load(text) if file.suffix == ".yaml" else {"run": text}
    for script in (found.get("setup", ""), found["run"]):
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for words in re.findall(r"\bmake ((?:[a-z-]+ ?)+)", text) for word in words.split()}
    assert named
    assert named <= targets | {"and"}
    assert all((ROOT / name).is_file() for name in re.findall(r"launch/[\w.-]+", text))
