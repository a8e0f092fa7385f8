"""What a run beside a store says of itself: a small file that `status` reads in another shell."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from refusal_stability.files import atomic_write, is_alive
from refusal_stability.progress import Progress
from refusal_stability.records import StudyError, text_hash

# A run writes every few seconds. One that has not for so long was killed.
SILENT_S = 20.0


@dataclass(frozen=True)
class Running:
    """How far a run was when it last said so.

    Attributes
    ----------
    caption : what is done, such as a model's name.
    work : of the engine's identity and the caption; see `work_name`.
    done, total : requests, those stored before included.
    missing : requests without an answer by their reason.
    rate : requests a second of late, or None.
    started, updated : seconds since 1970.
    ended : whether it came to its end, by itself or by an error.
    """

    caption: str
    work: str
    process: int
    done: int
    total: int
    started: float
    updated: float
    ended: bool
    rate: float | None = None
    missing: dict[str, int] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether the run is going on."""
        return not self.ended and time.time() - self.updated < SILENT_S


def work_name(identity: str, caption: str) -> str:
    """The name of what one engine is asked under one caption.

    Parameters
    ----------
    identity : the engine's, as canonical JSON.
    caption : as `complete_stored` takes it.
    """
    return text_hash(f"{identity}\n{caption}")[:16]


def saver(store: Path, identity: str, caption: str) -> Callable[[Progress], None]:
    """What writes a run's progress beside the store; what an earlier run of the same work wrote is removed.

    Parameters
    ----------
    store : the store's file.
    identity, caption : of the work; see `work_name`.

    Returns
    -------
    callable
        Writes a `Progress`. A full disk or a folder that cannot be written leaves the run alone.
    """
    folder, work = _folder(store), work_name(identity, caption)
    for file in folder.glob(f"{work}-*.json"):
        said = _read(file)
        if said is None or not said.alive:
            file.unlink(missing_ok=True)
    path = folder / f"{work}-{os.getpid()}.json"

    def save(progress: Progress) -> None:
        said = Running(
            caption,
            work,
            os.getpid(),
            progress.done,
            progress.total or 0,
            progress.started,
            time.time(),
            progress.ended,
            progress.rate,
            dict(progress.missing),
        )
        with suppress(StudyError, OSError), atomic_write(path) as file:
            json.dump(asdict(said), file)

    return save


def runs_beside(store: Path) -> list[Running]:
    """What the runs beside a store said last, the latest first; of one that ended, until the same work starts again.

    Parameters
    ----------
    store : the store's file.
    """
    found = [said for file in _folder(store).glob("*.json") if (said := _read(file)) is not None]
    return sorted(found, key=lambda said: -said.updated)


def going_on(store: Path) -> set[int]:
    """The other processes of this machine that began work with a store and have not ended, suspended ones included.

    Parameters
    ----------
    store : the store's file.
    """
    begun = {said.process for said in runs_beside(store) if not said.ended} - {os.getpid()}
    return {process for process in begun if is_alive(process)}


def latest_of(runs: list[Running]) -> Mapping[str, Running]:
    """The latest run of each work.

    Parameters
    ----------
    runs : as `runs_beside` gives them.
    """
    return {said.work: said for said in reversed(runs)}


def _folder(store: Path) -> Path:
    return store.with_name(f"{store.stem}.running")


def _read(file: Path) -> Running | None:
    """What a run wrote; None where the file is gone or another program's."""
    try:
        values: Any = json.loads(file.read_text(encoding="utf-8"))
        return TypeAdapter(Running).validate_python(values)
    except (OSError, ValueError, ValidationError):
        return None
