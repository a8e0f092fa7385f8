"""What `make repro` looks at before DVC starts: files that a killed run left half written, and empty parameters."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.dvc_files import half_written
from refusal_stability.params.load import PARAMS_FILE, load_params

ASIDE = Path(".dvc/tmp")
# dvc.yaml gives these a value where a study leaves them out. DVC's words for an empty one name no remedy.
WITH_DEFAULTS = (("models",), ("reference_models",), ("sampling",), ("sampling", "adaptive"))


def run() -> None:
    """Move a half-written dvc.lock, or DVC's note of what is running, into .dvc/tmp; refuse an empty section."""
    for path in half_written():
        aside = ASIDE / f"{path.name}.damaged"
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
        print(
            f"{path}: was left half written by a `dvc repro` that was killed; it is now {aside}. Stages that had ended "
            "come back from DVC's cache"
        )
    if _holds_an_empty_section():
        load_params()


def _holds_an_empty_section() -> bool:
    import yaml

    try:
        values = yaml.safe_load(PARAMS_FILE.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError):
        # The stage `params` says what is wrong.
        return False
    for place in WITH_DEFAULTS:
        section = values
        for name in place:
            section = section.get(name, {}) if isinstance(section, dict) else {}
        if section is None:
            return True
    return False
