"""The HTTP engine through a vendor's batch endpoints: half the price, an answer within a day.

A request's custom id is its key in the store. So an answer finds its request whatever the order of lines, in whichever
batch it comes, and after any kill.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from refusal_stability.engines.http.batch.anthropic import AnthropicBatches
from refusal_stability.engines.http.batch.endpoints import CANCELLED, EXPIRED, Endpoints, Full, NotThere, Unsettled
from refusal_stability.engines.http.batch.journal import ENDED, Batch, Journal
from refusal_stability.engines.http.batch.openai import OpenAIBatches
from refusal_stability.engines.http.batch.run import Run, Unread, parts_of, unanswered, wait_on_unknown
from refusal_stability.engines.http.budget import most_tokens
from refusal_stability.engines.http.engine import HTTPEngine, Rejected
from refusal_stability.engines.http.said import AskedOnceMore, Fault, NotRead, without_text
from refusal_stability.engines.http.transport import Adapted, Busy, Reply
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store, completion_key
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Outcome, Request, canonical_json, text_hash

log = logging.getLogger(__name__)

ENDPOINTS: Mapping[str, type[Endpoints]] = {"chat_completions": OpenAIBatches, "anthropic_messages": AnthropicBatches}
# A request that failed so often, each time in another batch, is given up.
MOST_TRIES = 3
FULL_QUEUE = "token_limit_exceeded"
# How long a server may take to list what it has created.
LONGEST_UNLISTED_S = 60.0


class BatchEngine(HTTPEngine):
    """Complete requests through batches.

    Parameters
    ----------
    model, settings, where : as for `HTTPEngine`.

    Raises
    ------
    EngineError
        As `HTTPEngine` does. Also: the server has no batches; a batch was refused or cancelled; the server keeps
        failing. Batches that were sent go on at the server, and the next run takes their answers.

    Notes
    -----
    The first request goes alone and at once, at the full price. It teaches which fields the server takes, before a day
    is spent on a file of wrong ones. Answers are yielded batch by batch, as batches end. The identity is that of
    `HTTPEngine`: an answer is the same whichever way it was paid for.
    """

    def __init__(self, model: ModelParams, settings: OpenAISettings, where: str = "model") -> None:
        super().__init__(model, settings, where)
        spoken = ENDPOINTS[self._settings.protocol]
        self._endpoints = spoken(self._settings, self._protocol.PATH, self._protocol.auth_headers, where)
        self._identity_text = canonical_json(dict(self.identity))
        self._hashed = text_hash(self._identity_text)
        self._journal: Journal | None = None
        self._yielded_next = 0

    def kept_in(self, store: Store) -> None:
        """Keep what is sent beside this store. Batches are done with whose answers it has already."""
        self._journal = Journal(store.path)
        for batch, keys in self._journal.pending(self._hashed):
            if batch.ended and (stored := store.find(keys)):
                self._journal.keep(batch, [key for key in keys if key not in stored])

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield each request's completion as its batch ends; see `Engine.complete`."""
        if not requests:
            return
        if self._journal is None:
            raise EngineError(f"{self._where}: batches need a store, beside which they are written down")
        self._endpoints.read_secrets()
        self._transport.read_secrets()
        self._fields.fill_in(self._transport.value)
        places: dict[str, list[int]] = defaultdict(list)
        for place, request in enumerate(requests):
            places[completion_key(self._identity_text, request)].append(place)
        run = Run(self._journal, {key: requests[at[0]] for key, at in places.items()})
        self._find_sent(run)
        self._check_caps([run.waiting[key] for key in run.to_send(with_unseen=True)])
        while run.waiting:
            for key, completion in self._round(run):
                del run.waiting[key]
                self._budget.tokens += completion.prompt_tokens + completion.completion_tokens
                for place in places[key]:
                    yield place, completion

    def ready(self) -> int:
        """How many answers `complete` yields next without waiting for the server."""
        return self._yielded_next

    def _round(self, run: Run) -> Iterator[tuple[str, Completion]]:
        """Send what is to be sent, and yield the answers of the batches that have ended."""
        if not self._transport.reached and (key := next(iter(run.to_send()), None)) is not None:
            for _, completion in super().complete([run.waiting[key]]):
                yield key, completion
            return
        self._send(run)
        ended = []
        for batch in list(run.batches):
            if not batch.batch_id and not self._seek(run, batch):
                continue
            problems = self._look(run, batch)
            if batch.state in ENDED:
                ended.append(batch)
            if batch.state == "failed":
                self._failed(run, batch, problems)
        for batch in ended:
            if batch.state != "failed":
                yield from self._answers_of(run, batch)
            run.drop(batch)
        if run.waiting and not ended:
            time.sleep(self._settings.batch_poll_s)

    def _find_sent(self, run: Run) -> None:
        """Take over what an earlier run sent of these requests."""
        for batch, keys in run.journal.pending(self._hashed):
            if run.waiting.keys().isdisjoint(keys):
                continue
            run.follow(batch, keys)
        if run.batches:
            log.warning("%s: following %d batches that were sent before", self._where, len(run.batches))

    def _seek(self, run: Run, batch: Batch) -> bool:
        """Find out whether the server knows a batch whose creation nobody saw; one that it does not know is sent again.

        Returns whether it knows the batch.
        """
        if time.monotonic() < run.since[batch.name] + min(self._settings.batch_poll_s, LONGEST_UNLISTED_S):
            return False
        try:
            found = self._endpoints.find(batch, frozenset(run.keys[batch.name]), run.journal.names())
        except Unsettled as reason:
            self._transport.say("unseen", f"{reason}; looking again once it has ended")
            return False
        if found is None:
            run.journal.forget(batch)
            run.drop(batch)
            # It may have been all that a full server was waited for.
            run.full = False
            return False
        batch.batch_id = found
        run.journal.write(batch)
        return True

    def _check_caps(self, requests: Sequence[Request]) -> None:
        """Refuse what could exceed a cap, before any of it is sent: a batch cannot be stopped half way."""
        self._budget.check(len(requests))
        cap = self._settings.max_total_tokens
        if cap is not None and (needed := self._budget.tokens + sum(map(most_tokens, requests))) > cap:
            raise EngineError(
                f"{self._where}.settings.max_total_tokens: these batches may take {needed:,} tokens, over the cap of "
                f"{cap:,}; nothing was sent: raise the cap or ask less (see `refusal-stability plan`)"
            )

    def _send(self, run: Run) -> None:
        """Send everything that no batch holds, in files within the limits."""
        groups: dict[str | None, list[str]] = defaultdict(list)
        for key in run.to_send():
            groups[run.structured.get(key)].append(key)
        for structured, keys in groups.items():
            rest: Sequence[str] = keys
            while rest and not run.full:
                rest = self._send_first(run, rest, structured)
                # Where the server took less than a whole batch, one at a time.
                run.full = run.full or run.most < self._settings.batch_size

    def _send_first(self, run: Run, keys: Sequence[str], structured: str | None) -> Sequence[str]:
        """Send one batch of the first of these; returns the others."""
        name, spoken, used, seeded = uuid.uuid4().hex, self._endpoints, "", True
        run.journal.folder.mkdir(parents=True, exist_ok=True)
        path = run.journal.folder / f"{name}.jsonl"

        def lines() -> Iterator[bytes]:
            nonlocal used, seeded
            for key in keys[: min(self._settings.batch_size, run.most)]:
                used, body = self._written(run.waiting[key], structured)
                seeded = self._fields.seeded(body)
                yield spoken.line(key, body)

        batch = Batch(name, self._hashed, "", 0, 0, "", True, time.time())
        try:
            batch.sha256, batch.size, batch.requests = spoken.write(path, lines())
            batch.structured, batch.seeded, batch.newest_before = used, seeded, spoken.newest()
            sent = list(keys[: batch.requests])
            run.journal.begin(batch, sent)
            self._create(run, batch, path)
        except Full as reason:
            spoken.say("full", f"{reason}; waiting for a batch to end")
            run.journal.forget(batch)
            run.full = True
            return keys
        except NotThere as reason:
            run.journal.forget(batch)
            raise EngineError(
                f"{self._where}.settings.batch: {self._settings.base_url} has no batches ({reason}); set it to false"
            ) from reason
        finally:
            path.unlink(missing_ok=True)
        self._budget.sent += batch.requests
        run.follow(batch, sent)
        return keys[batch.requests :]

    def _create(self, run: Run, batch: Batch, file: Path) -> None:
        """Have the server create a batch; one of which nobody knows whether it did stays unseen."""
        try:
            batch.batch_id = self._endpoints.send(batch, file, bool(run.batches))
        except Unsettled as reason:
            run.unsettled += 1
            if run.unsettled > self._settings.max_retries:
                raise EngineError(
                    f"{self._where}.settings.base_url: {self._settings.base_url} keeps failing: {reason}; run the same "
                    "command again later: it looks whether this batch was created before it sends anything"
                ) from reason
            log.warning("%s: %s; looking whether the batch was created before it is sent again", self._where, reason)
        else:
            run.unsettled = 0
            batch.state = "validating"
            log.info("%s: sent %d requests as %s", self._where, batch.requests, batch.batch_id)
        run.journal.write(batch)

    def _look(self, run: Run, batch: Batch) -> list[str]:
        before = (batch.state, batch.completed, batch.failed)
        try:
            problems = self._endpoints.update(batch)
        except NotThere as error:
            raise EngineError(
                f"{run.journal.folder / batch.name}.json: the server does not know {batch.batch_id} ({error}); use the "
                "key that it was sent with, or delete this file and its .keys to send its requests again"
            ) from error
        if before != (batch.state, batch.completed, batch.failed) or batch.state in ENDED or run.journal.lacks(batch):
            run.journal.write(batch)
        wait_on_unknown(batch, before[0], f"{self._where}: {run.journal.folder / batch.name}.json")
        return problems

    def _failed(self, run: Run, batch: Batch, problems: Sequence[str]) -> None:
        """A batch that the server refused whole. Nothing of it is paid for."""
        keys = run.keys[batch.name]
        run.journal.keep(batch, [])
        if any(FULL_QUEUE in problem for problem in problems):
            others = [other for other in run.batches if other is not batch and not other.ended]
            # What waits at the server leaves room when it ends. Where nothing waits, this batch alone is too much.
            run.full = bool(others)
            whole = min(run.most, self._settings.batch_size, len(run.waiting))
            run.most = run.most if others else max(1, whole // 2)
            if others or len(keys) > 1:
                return
        raise EngineError(
            f"{self._where}: the server refuses batch {batch.batch_id} ({'; '.join(problems[:3]) or 'no reason'}); "
            "nothing of it was paid for: correct the model's `path` or `settings`, or set batch: false"
        )

    def _answers_of(self, run: Run, batch: Batch) -> Iterator[tuple[str, Completion]]:
        """Yield what an ended batch answered. What it left out is to be sent again."""
        keys = run.keys[batch.name]
        run.full, answered, stopped = False, 0, None
        run.most *= 2
        left = {key for key in keys if key in run.waiting}
        seen, unread = Counter[str](), Unread()
        for part in parts_of(self._replies(run, batch)):
            answers: list[tuple[str, Completion]] = []
            for key, reply, error in part:
                if unread.takes(key, error):
                    continue
                seen[key] += 1
                # A second answer is left out; one that follows an error is taken.
                if key not in left or error in (EXPIRED, CANCELLED):
                    continue
                try:
                    completion = self._meaning(run, batch, key, reply, unread)
                except EngineError as found:
                    stopped = stopped or found
                    continue
                if completion is not None:
                    answers.append((key, completion))
                    left.remove(key)
            answered += len(answers)
            for position, answer in enumerate(answers):
                self._yielded_next = len(answers) - position - 1
                yield answer
        if (double := sum(seen.values()) - len(seen)) > 0:
            log.warning(
                "%s: %s has %d lines too many; of answers the first is kept", self._where, batch.batch_id, double
            )
        for key, completion in unread.outcomes(left, seen, f"{self._where}: {batch.batch_id}"):
            left.remove(key)
            yield key, completion
        if not (answered and batch.state == "expired"):
            for key in left:
                run.tries[key] += 1
        # By now the store has what was yielded. What this study does not ask, another may.
        run.journal.keep(batch, [key for key in keys if key not in run.asked])
        if stopped is not None:
            raise stopped
        if batch.state == "cancelled" and left:
            raise EngineError(
                f"{self._where}: batch {batch.batch_id} was cancelled at the server; what it answered is stored: run "
                f"the same command again to send its other {len(left):,} requests"
            )
        for key in [key for key in left if run.tries[key] >= MOST_TRIES]:
            yield key, unanswered(f"no answer in {MOST_TRIES} batches ({run.reasons.get(key, batch.state)})")

    def _replies(self, run: Run, batch: Batch) -> Iterator[tuple[str, Reply, str]]:
        """The lines of the files with answers."""
        path = run.journal.folder / f"{batch.name}.answers"
        try:
            for place, lines in self._endpoints.files(batch):
                self._endpoints.fetch(place, path, lines)
                yield from self._endpoints.replies(path)
        except NotThere as error:
            raise EngineError(
                f"{run.journal.folder / batch.name}.json: answers of {batch.batch_id} are gone from the server "
                f"({error}); delete this file and its .keys to send its requests again"
            ) from error
        finally:
            path.unlink(missing_ok=True)

    def _meaning(self, run: Run, batch: Batch, key: str, reply: Reply, unread: Unread) -> Completion | None:
        """What a line means; None where the request is to be sent again."""
        request = run.waiting[key]
        used = batch.structured or self._fields.structured
        try:
            _, sent = self._written(request, used)
            return self._completion_of(reply, request, used, sent, batch.seeded)
        except AskedOnceMore as again:
            if run.tries[key]:
                return without_text(Outcome.UNANSWERED, str(again))
            reason = str(again)
            if again.structured:
                run.structured[key] = again.structured
        except NotRead as fault:
            unread.reasons[key] = str(fault)
            return None
        except (Adapted, Busy, Fault, Rejected) as fault:
            if isinstance(fault, Rejected):
                return unanswered(str(fault))
            reason = str(fault)
        run.reasons[key] = reason
        return None
