"""Who has a store open: a lock file for each process, which the operating system unlocks when the process dies."""

from __future__ import annotations

import uuid
from pathlib import Path

from filelock import FileLock, Timeout

SUFFIX = ".alive"
OPENING = ".opening"


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
                _is_locked(file)
        names = {file.name.removeprefix(start).removesuffix(SUFFIX) for file in locks if file.suffix == SUFFIX}
        living = {name for name in names - {self.name} if self.is_alive(name)}
        self.found_killed = self.found_killed or bool(names - {self.name} - living)
        return living

    def is_alive(self, name: str) -> bool:
        """Whether the process of this name still runs."""
        return name == self.name or _is_locked(self._lock_file(name))

    def _lock_file(self, name: str) -> Path:
        return self._store.with_name(f"{self._store.name}.{name}{SUFFIX}")


def _is_locked(file: Path) -> bool:
    """Whether a living process holds a lock file; one that none holds is removed."""
    if not file.exists():
        return False
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    # Unlinked while it is locked: afterwards the name could be another's.
    file.unlink(missing_ok=True)
    lock.release()
    return False
