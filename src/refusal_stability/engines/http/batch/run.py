"""What one call of the batch engine knows: which requests wait, which batches hold them, what was tried."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from refusal_stability.engines.http.batch.endpoints import UNREADABLE
from refusal_stability.engines.http.batch.journal import KNOWN, Batch, Journal
from refusal_stability.engines.http.said import SETTLED, without_text
from refusal_stability.engines.http.transport import Reply
from refusal_stability.engines.protocol import EngineError
from refusal_stability.records import Completion, Outcome, Request

log = logging.getLogger(__name__)

READ_AT_ONCE = 256
ANY_NUMBER = 1 << 62
# Vendors end a batch within a day.
LONGEST_UNKNOWN_S = 24 * 3600.0


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


class Unread:
    """The answers of a batch that were received and that nobody can read. They are paid for: none is sent again.

    Attributes
    ----------
    reasons : by key, why its answer cannot be read.
    nameless : how many lines show no key.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.nameless = 0

    def takes(self, key: str, error: str) -> bool:
        """Whether a line cannot be read; it is counted then. `key` is empty where the line shows none."""
        if error == UNREADABLE and key:
            self.reasons.setdefault(key, "the answer's line cannot be read")
        self.nameless += error == UNREADABLE and not key
        return error == UNREADABLE

    def outcomes(self, left: Collection[str], seen: Collection[str], which: str) -> list[tuple[str, Completion]]:
        """What becomes of the requests whose answers these are, said in one line.

        Parameters
        ----------
        left : the keys without an answer.
        seen : the keys of all lines that can be read.
        which : names the batch.
        """
        reasons = {key: reason for key, reason in self.reasons.items() if key in left}
        lineless = [key for key in left if key not in seen and key not in reasons]
        if self.nameless >= len(lineless):
            # Each has a line then.
            reasons |= dict.fromkeys(lineless, "the answer's line cannot be read")
        if self.reasons or self.nameless:
            log.warning(
                "%s: %d lines of answers cannot be read; %d requests have no answer for that reason, and are sent "
                "again only by `refusal-stability generate --ask-again unanswered`",
                which,
                len(self.reasons) + self.nameless,
                len(reasons),
            )
        return [(key, without_text(Outcome.UNANSWERED, reason, SETTLED)) for key, reason in reasons.items()]


def unanswered(reason: str) -> Completion:
    """The completion of a request that the next run asks again."""
    return without_text(Outcome.UNANSWERED, reason, {"passing": True})


def wait_on_unknown(batch: Batch, before: str, file: str) -> None:
    """Say once that a batch is in a state that nobody knows; after a day, wait for it no longer.

    Parameters
    ----------
    batch : as the server says that it is.
    before : its state at the last look.
    file : its file in the journal, for messages.
    """
    if batch.state in KNOWN:
        return
    if time.time() - batch.created > LONGEST_UNKNOWN_S:
        raise EngineError(
            f"{file}: {batch.batch_id} was sent over {LONGEST_UNKNOWN_S / 3600:g} hours ago and is {batch.state!r}, "
            "which nobody knows; look at the batch at the vendor. Once it has ended there, run the same command again, "
            "and its answers are taken; if it never will, delete this file and its .keys to send its requests again"
        )
    if batch.state != before:
        log.warning("%s: %s is %r, which nobody knows: waiting on", file, batch.batch_id, batch.state)
