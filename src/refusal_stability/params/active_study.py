"""A folder's files are its active study's (`params.yaml`). Another study's stages must not replace them unasked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from refusal_stability.files import (
    FIGURES,
    GENERATIONS,
    JUDGE_REPORT,
    LABELS,
    METRICS,
    PARAMS_IN_FULL,
    PROMPTS,
    REFERENCE_MODELS,
    REPORT,
    SAMPLED,
    TABLES,
    TRACKED,
    VALIDATION,
)
from refusal_stability.params.checks import ParamsError
from refusal_stability.params.load import PARAMS_FILE, load_params

# Where the study that was active before is kept.
PARAMS_BEFORE = Path("params.previous.yaml")
# What each command writes. `sample`, `generate`, `judge` and `train-reference` write a folder of one model's below it.
WRITTEN: Mapping[str, Sequence[Path]] = {
    "params": (PARAMS_IN_FULL,),
    "train-reference": (REFERENCE_MODELS,),
    "prompts": (PROMPTS,),
    "sample": (SAMPLED,),
    "generate": (GENERATIONS,),
    "judge": (LABELS,),
    "metrics": (METRICS,),
    "figures": (FIGURES,),
    "report": (REPORT, TABLES),
    "track": (TRACKED,),
    "judge-report": (JUDGE_REPORT,),
    "validate": (VALIDATION,),
}


def check_not_of_another_study(command: str, params_path: Path, model: str = "") -> None:
    """Refuse a command that would overwrite files of the active study, or ask its prompts for another one."""
    if not PARAMS_FILE.is_file() or not params_path.is_file() or params_path.read_bytes() == PARAMS_FILE.read_bytes():
        return
    there = next((path / model for path in WRITTEN[command] if _holds_something(path / model)), None)
    does = None if there is None else f"overwrite {there}"
    if does is None and command in ("generate", "sample") and PROMPTS.exists():
        same = load_params(params_path).prompts == load_params(PARAMS_FILE).prompts
        does = None if same else f"ask the active study's prompts ({PROMPTS})"
    if does is not None:
        named = params_path.parent == Path("studies")
        activate = f"`make study NAME={params_path.stem}`" if named else f"`cp {params_path} {PARAMS_FILE}`"
        raise ParamsError(
            f"{params_path}: is not the active study ({PARAMS_FILE}), and `{command}` would {does}; make it "
            f"active with {activate}, work in a copy of the project, or add --force"
        )


def _holds_something(path: Path) -> bool:
    if path.is_dir():
        return any(file.name != ".gitignore" and file.is_file() for file in path.iterdir())
    return path.exists()
