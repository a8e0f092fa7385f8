"""What DVC writes in place: a killed `dvc repro` leaves such a file half written, and DVC then refuses to start."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LOCK, RUNNING = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
# Another DVC may be writing the file right now.
LOOK_AGAIN_S = 1.0


def half_written() -> Iterator[Path]:
    """The files of DVC's that it will refuse to start with."""
    for path, is_whole in ((LOCK, _is_whole_lock), (RUNNING, _is_whole_note)):
        if _is_broken(path, is_whole):
            time.sleep(LOOK_AGAIN_S)
            if _is_broken(path, is_whole):
                yield path


def _is_broken(path: Path, is_whole: Callable[[str], bool]) -> bool:
    try:
        return not is_whole(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except UnicodeDecodeError:
        return True


def _is_whole_lock(text: str) -> bool:
    """Whether DVC takes it; a part that it takes only makes it run some stages again."""
    import yaml
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {})
    except (yaml.YAMLError, Invalid):
        return False
    return True


def _is_whole_note(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
