"""A copy of the project and the means to run it; what the pipeline tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

LEFT_BEHIND = shutil.ignore_patterns(
    ".git",
    ".venv*",
    "mlruns",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    "tmp",
    "cache",
    "*.sqlite*",
    "*.previous.yaml",
    "unpacked",
    "*.gguf",
)
RESULTS = ("data/generations", "data/labels", "data/metrics", "data/params", "data/prompts", "reports")
# The models of the fixture `planted`, and how many responses each has: prompts x temperatures x seeds.
PLANTED_MODELS = ("reference-steady", "reference-wavering")
PLANTED_PROMPTS = 30
PLANTED_RESPONSES = PLANTED_PROMPTS * 4 * 5


class Study:
    """A copy of the project and the means to run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
            "DVC_NO_ANALYTICS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder."""
        result = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{command} failed:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
        return result

    def start(self, *command: str, piped: bool = False) -> subprocess.Popen[str]:
        """Start a command in the project's folder and return at once; what it says is dropped, or piped together."""
        out, error = (subprocess.PIPE, subprocess.STDOUT) if piped else (subprocess.DEVNULL, subprocess.DEVNULL)
        environment = self.environment | {"PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=out, stderr=error, text=True)

    def files(self, folder: str, pattern: str) -> dict[str, bytes]:
        """The bytes of the files that match, by path."""
        found = sorted((self.folder / folder).rglob(pattern))
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in found}


def copy_project(source: Path, target: Path, name: str = "validate") -> Study:
    """Copy the project without results, environment, history or downloaded models; the named study is active."""
    shutil.copytree(source, target, ignore=LEFT_BEHIND)
    for folder in RESULTS:
        for item in (target / folder).iterdir() if (target / folder).is_dir() else ():
            if item.name != ".gitignore":
                shutil.rmtree(item) if item.is_dir() else item.unlink()
    for folder in (target / "models/reference").iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    shutil.copy(target / f"studies/{name}.yaml", target / "params.yaml")
    study = Study(target)
    # No git here: what a downloaded archive of the project looks like.
    study.run("dvc", "config", "--local", "core.no_scm", "true")
    return study
