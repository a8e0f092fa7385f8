"""A DVC stage's inputs, watched while the stage runs.

DVC notes a stage's inputs when the stage has ended. What is edited meanwhile would be noted for outputs that were made
with what stood there before. Such a stage ends with an error, so that DVC notes nothing and runs it again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refusal_stability.files import PARAMS_IN_FULL, file_sha256
from refusal_stability.params.in_full import files_in_full
from refusal_stability.params.load import PARAMS_FILE, load_params, text_read
from refusal_stability.records import StudyError

STAGE_FILE = Path("dvc.yaml")
# A larger file is compared by its size and time.
READ_WHOLE_BYTES = 4 << 20
AGAIN = "run `dvc repro` again: what is stored stays stored"


@contextmanager
def watched_inputs(command: str, params_path: Path) -> Iterator[None]:
    """Refuse to end well where an input changed while the stage ran; only the active study has a DVC stage."""
    stage = os.environ.get("DVC_STAGE")
    if params_path != PARAMS_FILE:
        yield
        return
    if not stage:
        if command != "params" and (edited := _edited(files_in_full(load_params(params_path)), [PARAMS_IN_FULL])):
            print(
                f"warning: {params_path}: {edited} differs from {PARAMS_IN_FULL}: what earlier stages wrote may rest "
                "on other values than this stage uses; `dvc repro` brings them together",
                file=sys.stderr,
            )
        yield
        return
    inputs = _inputs(stage)
    before = {path: _state(path) for path in inputs}
    if command != "params":
        values = files_in_full(load_params(params_path))
        text = text_read(params_path)
        read = [path for path in inputs if path.is_relative_to(PARAMS_IN_FULL)]
        if edited := _edited(values, read or [PARAMS_IN_FULL]):
            raise StudyError(f"{params_path}: {edited} was edited after stage params; nothing was done; {AGAIN}")
    yield
    changed = [path for path in inputs if _state(path) != before[path]]
    if command != "params" and text_read(params_path) != text:
        changed.append(params_path)
    if changed:
        raise StudyError(
            f"{changed[0]}: was edited while stage {stage} ran, so its outputs would be recorded with what they were "
            f"not made from; nothing is recorded; {AGAIN}"
        )


def _inputs(stage: str) -> list[Path]:
    """The files and folders that dvc.yaml names as the stage's."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        stages = yaml.load(STAGE_FILE.read_text(encoding="utf-8"), loader)["stages"]
        name, _, key = stage.rpartition(":")[2].partition("@")
        definition = stages[name].get("do", stages[name])
        named = [*definition.get("deps", []), *(name for files in definition.get("params", []) for name in files)]
        return [Path(str(path).replace("${key}", key)) for path in named]
    except (OSError, yaml.YAMLError, KeyError, AttributeError, TypeError, UnicodeDecodeError) as error:
        raise StudyError(f"{STAGE_FILE}: has no stage {stage} any more; {AGAIN}") from error


def _state(path: Path) -> Any:
    """What changes when a file, or any file of a folder, does; None where there is nothing."""
    try:
        if path.is_dir():
            return {file: _state(file) for file in sorted(path.rglob("*")) if not file.is_dir()}
        known = path.stat()
        return (known.st_size, known.st_mtime_ns) if known.st_size > READ_WHOLE_BYTES else file_sha256(path)
    except OSError:
        return None


def _edited(values: Mapping[Path, Any], read: list[Path]) -> str:
    """The first parameter, of those that a stage reads, whose value differs from the one in data/params; "" if none."""
    for path, value in values.items():
        if any(path.is_relative_to(place) for place in read) and PARAMS_IN_FULL.is_dir():
            try:
                same = json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(value))
            except (OSError, ValueError):
                same = False
            if not same:
                return ".".join(path.relative_to(PARAMS_IN_FULL).with_suffix("").parts)
    return ""
