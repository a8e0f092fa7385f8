"""What one call of the batch engine knows: which requests wait, which batches hold them, what was tried."""

from __future__ import annotations

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
    batches : those that have not ended, and `keys` of each by its name.
    tries : batches without an answer by key, and `reasons`.
    structured : how JSON is asked for where it is not as for all.
    full : whether the server takes no more for now, and `most`, how many requests it may take at once.
    """

    def __init__(self, journal: Journal, waiting: Mapping[str, Request]) -> None:
        self.journal = journal
        self.waiting = dict(waiting)
        self.asked = frozenset(waiting)
        self.batches: list[Batch] = []
        self.keys: dict[str, list[str]] = {}
        self.tries: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self.structured: dict[str, str] = {}
        self.full = False
        self.most = ANY_NUMBER

    def to_send(self) -> Iterable[str]:
        """The keys that no batch holds."""
        held = {key for keys in self.keys.values() for key in keys}
        return (key for key in self.waiting if key not in held)


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
