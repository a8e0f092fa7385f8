"""Where a run comes from: git commit, DVC's hashes, MD5 of its files."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from refusal_stability.records import StudyError

DVC_LOCK = Path("dvc.lock")


def file_md5(path: Path) -> str:
    """The MD5 of a file's bytes, which is also its name in DVC's cache."""
    try:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}; run the stage that writes it (`dvc repro`)") from error


def provenance(model: str) -> dict[str, str]:
    """Tags with the git commit and DVC's hashes behind a run of `model`, as far as there are any."""
    tags = {"mlflow.source.name": "refusal-stability track", "mlflow.source.type": "LOCAL"}
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["git_changed_since"] = "yes" if _git("status", "--porcelain", "--", "src", "params.yaml") else "no"
    return tags | _dvc_hashes(model)


def _git(*command: str) -> str:
    try:
        done = subprocess.run(["git", *command], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _dvc_hashes(model: str) -> dict[str, str]:
    import yaml

    if not DVC_LOCK.is_file():
        return {}
    try:
        stages = (yaml.safe_load(DVC_LOCK.read_text(encoding="utf-8")) or {}).get("stages", {})
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}
    outputs = {out["path"]: out.get("md5", "") for stage in stages.values() for out in stage.get("outs", [])}
    wanted = ("data/prompts", f"data/generations/{model}", f"data/labels/{model}", "data/metrics")
    return {
        f"dvc.{path.removeprefix('data/')}": md5
        for path, md5 in sorted(outputs.items())
        if any(path == place or Path(path).parent == Path(place) for place in wanted)
    }
