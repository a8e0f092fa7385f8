"""Who has a store open: a lock file for each process, which the operating system unlocks when the process dies."""

from __future__ import annotations

import fcntl
import os
import uuid
from enum import Enum, auto
from pathlib import Path

from filelock import FileLock

SUFFIX = ".alive"
OPENING = ".opening"


class State(Enum):
    """What a lock file tells about its process."""

    LIVING = auto()
    KILLED = auto()
    LEFT = auto()


class Owner:
    """This process among those that have a store open.

    Parameters
    ----------
    store : the store's file, its symbolic links resolved, so that all its users see the same lock files.

    Attributes
    ----------
    found_killed : whether `others` met what a killed process left.

    Raises
    ------
    OSError
        The folder cannot be written.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self.found_killed = False
        self.name = uuid.uuid4().hex
        self._file = self._lock_file(self.name)
        # Locked before it has its name: nobody sees a living process without its lock.
        opening = self._file.with_suffix(OPENING)
        self._lock = FileLock(opening)
        while True:
            self._lock.acquire()
            try:
                opening.rename(self._file)
                return
            except FileNotFoundError:
                # Another process took it for what a killed one left.
                self._lock.release()

    def leave(self) -> None:
        """Say that this process no longer has the store open."""
        self._file.unlink(missing_ok=True)
        self._lock.release()

    def others(self) -> set[str]:
        """The names of other processes that have the store open; removes what killed ones left."""
        start = f"{self._store.name}."
        locks = [file for file in self._store.parent.iterdir() if file.name.startswith(start)]
        for file in locks:
            if file.suffix == OPENING:
                _state(file)
        names = {file.name.removeprefix(start).removesuffix(SUFFIX) for file in locks if file.suffix == SUFFIX}
        states = {name: _state(self._lock_file(name)) for name in names - {self.name}}
        self.found_killed = self.found_killed or State.KILLED in states.values()
        return {name for name, state in states.items() if state is State.LIVING}

    def is_alive(self, name: str) -> bool:
        """Whether the process of this name still runs."""
        return name == self.name or _state(self._lock_file(name)) is State.LIVING

    def _lock_file(self, name: str) -> Path:
        return self._store.with_name(f"{self._store.name}.{name}{SUFFIX}")


def _state(file: Path) -> State:
    """Whether a living process holds a lock file; what a killed one left is removed.

    A process that leaves removes its file before it unlocks it. So only a file that is unlocked and still has its name
    is a killed process's. It is not made here: a new one would look to others like a killed process's.
    """
    try:
        opened = file.open("rb")
    except FileNotFoundError:
        return State.LEFT
    with opened:
        try:
            # Shared: those who look at the same moment do not take each other for its owner.
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return State.LIVING
        try:
            still_named = os.path.samestat(os.fstat(opened.fileno()), file.stat())
        except FileNotFoundError:
            return State.LEFT
        if not still_named:
            return State.LEFT
        file.unlink(missing_ok=True)
        return State.KILLED
