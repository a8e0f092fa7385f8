"""What was sent in batches: a small file for each, beside the store, written before the batch is created.

A batch that the server knows and this folder does not would be paid for twice. So each batch has its name here first.
The name goes into the batch's metadata where the vendor keeps some, by which a later run finds a batch whose creation
nobody saw.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from refusal_stability.engines.protocol import EngineError
from refusal_stability.files import atomic_write
from refusal_stability.records import canonical_json, text_hash

log = logging.getLogger(__name__)

# Before the server has said that it knows the batch.
UNSEEN = "unseen"
CHECKSUM = "checksum"
ENDED = ("completed", "failed", "expired", "cancelled")
KNOWN = (*ENDED, "validating", "in_progress", "finalizing", "cancelling", "canceling", UNSEEN)


@dataclass
class Batch:
    """One batch.

    Attributes
    ----------
    name : ours; its metadata at the server holds it.
    work : what the requests are asked of; a hash of the engine's identity.
    sha256, size : of the file that was sent.
    requests : how many it holds.
    structured : how JSON is asked for in it; empty where no request wants JSON.
    seeded : whether its requests have a seed.
    created : when it was about to be sent, in seconds since 1970.
    state : the server's word, or `UNSEEN`.
    batch_id : the server's name of it; empty while unseen.
    completed, failed : requests so far, as the server counts.
    output, errors : the server's names of the files with the answers; empty while there are none.
    newest_before : the server's name of the batch that was its newest before; empty where batches have metadata.
    taken : whether all its answers were; it has no file of keys then.
    checked : whether both files end with the checksum of what they hold; those of earlier versions do not.
    """

    name: str
    work: str
    sha256: str
    size: int
    requests: int
    structured: str
    seeded: bool
    created: float
    state: str = UNSEEN
    batch_id: str = ""
    completed: int = 0
    failed: int = 0
    output: str = ""
    errors: str = ""
    newest_before: str = ""
    taken: bool = False
    checked: bool = False

    @property
    def ended(self) -> bool:
        """Whether the server does no more for it."""
        return self.state in ENDED


class Journal:
    """The batches of one store.

    Parameters
    ----------
    store : the store's file.
    """

    def __init__(self, store: Path) -> None:
        store = store.resolve()
        self.folder = store.with_name(f"{store.stem}.batches")
        self._held: dict[str, list[str]] = {}

    def begin(self, batch: Batch, keys: Collection[str]) -> None:
        """Write down a batch that is about to be created, and the keys of its requests."""
        batch.checked = True
        self.write(batch)
        self.keep(batch, keys)

    def write(self, batch: Batch) -> None:
        """Write down how a batch is; what somebody removed of it since it was written is written again."""
        lacking = batch.name in self._held and self.lacks(batch)
        batch.taken = batch.taken or self._is_taken(batch)
        said = asdict(batch)
        with atomic_write(self._file(batch.name)) as file:
            json.dump(said | {CHECKSUM: _checksum(said)} if batch.checked else said, file, indent=1)
        if lacking and not batch.taken:
            log.warning("%s: somebody removed files of batches here; they are written again", self.folder)
            self.keep(batch, self._held[batch.name])

    def lacks(self, batch: Batch) -> bool:
        """Whether somebody removed what is written down of a batch."""
        if not self._file(batch.name).exists():
            return True
        return batch.checked and not self._keys(batch.name).exists() and not self._is_taken(batch)

    def _is_taken(self, batch: Batch) -> bool:
        try:
            return _read(self._file(batch.name)).taken
        except EngineError:
            return False

    def keep(self, batch: Batch, keys: Collection[str]) -> None:
        """Write down whose answers have not been taken; a batch without any is done with."""
        path = self._keys(batch.name)
        self._held[batch.name] = list(keys)
        if not keys:
            # Said before they go: keys that are gone otherwise are lost.
            batch.taken = True
            self.write(batch)
            path.unlink(missing_ok=True)
            return
        with atomic_write(path) as file:
            file.writelines(f"{key}\n" for key in keys)
            if batch.checked:
                file.write(f"#{_checksum(list(keys))}\n")

    def forget(self, batch: Batch) -> None:
        """Strike a batch that was never created."""
        self._held.pop(batch.name, None)
        self._keys(batch.name).unlink(missing_ok=True)
        self._file(batch.name).unlink(missing_ok=True)

    def pending(self, work: str | None = None) -> Iterator[tuple[Batch, list[str]]]:
        """Each batch, of one work or of all, with the keys whose answers have not been taken; the oldest first.

        Raises
        ------
        EngineError
            A file is damaged or gone. To leave it out would be to pay twice.
        """
        found = []
        for path in self.folder.glob("*.json"):
            try:
                batch = _read(path)
            except EngineError:
                if path.exists():
                    raise
                # Another run has struck it.
                continue
            # The run that follows it may take the last answers meanwhile, and one that sends it writes the keys next.
            keys = self._kept(batch)
            if keys is not None:
                found.append((batch, keys))
                self._held[batch.name] = keys
            elif batch.batch_id and not ((now := _read(path)).taken or (now.ended and not now.checked)):
                raise _damaged(self._keys(batch.name))
        for path in self.folder.glob("*.keys"):
            file = path.with_suffix(".json")
            if not file.exists() and path.exists():
                raise _damaged(file)
        yield from sorted((pair for pair in found if work in (None, pair[0].work)), key=lambda pair: pair[0].created)

    def _kept(self, batch: Batch) -> list[str] | None:
        path = self._keys(batch.name)
        try:
            *keys, last = path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise _damaged(path) from error
        if not batch.checked:
            return [*keys, last]
        if last != f"#{_checksum(keys)}":
            raise _damaged(path)
        return keys

    def names(self) -> set[str]:
        """The server's names of all batches that were ever written down here."""
        found = set()
        for file in self.folder.glob("*.json"):
            try:
                found.add(_read(file).batch_id)
            except EngineError:
                # Another run may have struck the entry since the folder was listed.
                if file.exists():
                    raise
        return found

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _keys(self, name: str) -> Path:
        return self.folder / f"{name}.keys"


def _checksum(said: Any) -> str:
    return text_hash(canonical_json(said))


def _read(file: Path) -> Batch:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        stated = said.pop(CHECKSUM, None)
        batch = TypeAdapter(Batch).validate_python(said)
        if (stated is not None or batch.checked) and stated != _checksum(said):
            raise ValueError("another checksum")
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        raise _damaged(file) from error
    return batch


def _damaged(file: Path) -> EngineError:
    return EngineError(
        f"{file}: damaged or gone: it names a batch that may be paid for; look for the batch at the vendor (its "
        f"metadata holds the file's name), then delete {file.stem}.json and {file.stem}.keys: its "
        "requests are sent again"
    )
