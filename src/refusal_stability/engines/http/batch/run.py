"""What one call of the batch engine knows: which requests wait, which batches hold them, what was tried."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from refusal_stability.engines.http.batch.journal import Batch, Journal
from refusal_stability.engines.http.transport import Reply
from refusal_stability.records import Request

READ_AT_ONCE = 256
ANY_NUMBER = 1 << 62


class Run:
    """What one call of `complete` knows.

    Attributes
    ----------
    waiting : the request of each key that has no answer yet, of all those `asked`.
    batches : those that have not ended; `keys` of each by its name, and `since` when this run knows it.
    tries : batches without an answer by key, and `reasons`.
    structured : how JSON is asked for where it is not as for all.
    unsettled : creates in a row of which nobody knows whether the server did them.
    full : whether the server takes no more for now, and `most`, how many requests it may take at once.
    """

    def __init__(self, journal: Journal, waiting: Mapping[str, Request]) -> None:
        self.journal = journal
        self.waiting = dict(waiting)
        self.asked = frozenset(waiting)
        self.batches: list[Batch] = []
        self.keys: dict[str, list[str]] = {}
        self.since: dict[str, float] = {}
        self.tries: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self.structured: dict[str, str] = {}
        self.unsettled = 0
        self.full = False
        self.most = ANY_NUMBER

    def to_send(self, with_unseen: bool = False) -> Iterable[str]:
        """The keys that no batch holds; `with_unseen` also those of batches that the server may not know."""
        counted = [batch for batch in self.batches if batch.batch_id or not with_unseen]
        held = {key for batch in counted for key in self.keys[batch.name]}
        return (key for key in self.waiting if key not in held)

    def follow(self, batch: Batch, keys: list[str]) -> None:
        """Follow a batch that may be at the server."""
        self.batches.append(batch)
        self.keys[batch.name] = keys
        self.since[batch.name] = time.monotonic()

    def drop(self, batch: Batch) -> None:
        """Follow a batch no longer."""
        self.batches.remove(batch)
        del self.keys[batch.name]


def parts_of(lines: Iterator[tuple[str, Reply, str]]) -> Iterator[list[tuple[str, Reply, str]]]:
    """The lines of a file, some at a time: the store takes them together.

    Parameters
    ----------
    lines : as `Endpoints.replies` yields them.
    """
    part: list[tuple[str, Reply, str]] = []
    for line in lines:
        part.append(line)
        if len(part) == READ_AT_ONCE:
            yield part
            part = []
    yield part
