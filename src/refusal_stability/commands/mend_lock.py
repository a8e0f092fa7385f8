"""Set aside what a killed `dvc repro` left half written."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.dvc_files import half_written

ASIDE = Path(".dvc/tmp")


def run() -> None:
    """Move a half-written dvc.lock, or DVC's note of what is running, into .dvc/tmp; whole ones are left."""
    for path in half_written():
        aside = ASIDE / f"{path.name}.damaged"
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
        print(
            f"{path}: was left half written by a `dvc repro` that was killed; it is now {aside}. Stages that had ended "
            "come back from DVC's cache"
        )
