"""The engine `ray`: replicas of another engine as Ray actors, on this machine or on a cluster.

The driver hands out chunks of requests whose prompts stay together, and takes completions as they finish. Every request
has its own sampling stream, so it does not matter which replica answers it. A replica that dies is replaced, and what
it had not answered is handed out again.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.ray_cluster import joined_ray
from refusal_stability.engines.replica import Answers, Open, Replica
from refusal_stability.engines.thinking_marks import MARKS
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.ray import RaySettings
from refusal_stability.records import Completion, Message, Request, canonical_json

log = logging.getLogger(__name__)

# So many chunks a replica, so that a slow one does not hold up the end.
CHUNKS_A_REPLICA = 4
# A chunk whose replicas die so often without an answer is what kills them.
MOST_DEATHS = 3
# How long nothing may come before the log says what is waited for.
QUIET_S = 60.0


@dataclass
class _Chunk:
    """Requests that one replica is to answer, by their positions."""

    requests: dict[int, Request]
    deaths: int = 0


@dataclass
class _Worker:
    """A replica as the driver sees it: it begins, works on a chunk, or waits for one."""

    actor: Any
    beginning: Any = None
    stream: Any = None
    chunk: _Chunk | None = None
    places: list[int] = field(default_factory=list)
    process: int = 0
    heard: float = 0.0

    @property
    def idle(self) -> bool:
        return self.beginning is None and self.stream is None


class RayEngine:
    """Complete requests by replicas of another engine.

    Parameters
    ----------
    model : as for the wrapped engine.
    settings : what to wrap, how many replicas, what each needs, and which cluster; see `RaySettings`.
    where : the model's key in params.yaml, for error messages.
    open_engine : opens the wrapped engine, here to know its identity (which loads no weights), and in each replica.

    Raises
    ------
    EngineError
        The wrapped engine's own; Ray is not installed or no cluster answers; no replica starts; replicas keep dying on
        one chunk; a replica's engine differs from the driver's in what decides its completions.

    Notes
    -----
    Identity, thinking and prompts are those of the wrapped engine, so a store serves both: a study may be moved to
    replicas and back, and asks for nothing again.
    """

    def __init__(self, model: ModelParams, settings: RaySettings, where: str, open_engine: Open) -> None:
        self._settings = settings
        self._where = where
        self._open = open_engine
        self._model = replace(model, engine=settings.wraps, settings=settings.settings)
        self._inner = open_engine(self._model, where)
        self.identity: Mapping[str, Any] = self._inner.identity
        self.description: Mapping[str, Any] = {**self._inner.description, "replicas": str(settings.replicas)}
        self.fold_system = getattr(self._inner, "fold_system", False)
        self.thinking_marks = getattr(self._inner, "thinking_marks", MARKS)
        self.token_probabilities = getattr(self._inner, "token_probabilities", False)
        if (rendered := getattr(self._inner, "rendered", None)) is not None:
            self.rendered = rendered
        self._ray: Any = None
        self._joined = False
        self._workers: list[_Worker] = []
        self._left = 0

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield each request's completion as a replica answers it; see `Engine.complete`."""
        if not requests:
            return
        try:
            yield from self._answered(requests)
        finally:
            # Of a caller that came back for no more, chunks are still under way.
            for worker in [worker for worker in self._workers if not worker.idle and worker.chunk is not None]:
                self._dismiss(worker)

    def _answered(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        ray = self._start()
        todo = deque(self._chunks(requests))
        left, stopped = len(requests), None
        last_alive = last_heard = time.monotonic()
        while left and (stopped is None or any(worker.stream is not None for worker in self._workers)):
            if stopped is None:
                self._hire(min(self._settings.replicas, len(todo) + self._working()))
                self._hand_out(todo)
            if any(worker.beginning is None for worker in self._workers):
                last_alive = time.monotonic()
            elif time.monotonic() - last_alive > self._settings.start_s:
                raise EngineError(self._no_room())
            waiting = {worker.beginning or worker.stream: worker for worker in self._workers if not worker.idle}
            patience = min(10.0, self._settings.start_s, self._settings.answer_s)
            found, _ = ray.wait(list(waiting), num_returns=1, timeout=patience)
            last_heard = self._say_what_is_awaited(time.monotonic() if found else last_heard)
            for worker in [waiting[event] for event in found] or self._silent():
                try:
                    answers = self._heard(worker, todo) if found else self._given_up(worker, todo)
                except EngineError as error:
                    # Replicas that are at work finish their chunks: those may be paid for.
                    stopped = stopped or error
                    continue
                left -= len(answers)
                for place, answer in enumerate(answers):
                    self._left = len(answers) - place - 1
                    yield answer
        if stopped is not None:
            raise stopped

    def ready(self) -> int:
        """How many answers `complete` yields next without waiting for a replica."""
        return self._left

    def opened_thinking(self, messages: Sequence[Message]) -> str:
        """The mark of thinking that a conversation's prompt leaves open; see `Engine`."""
        opened: Callable[[Sequence[Message]], str] = getattr(self._inner, "opened_thinking", lambda _: "")
        return opened(messages)

    def processes(self) -> list[int]:
        """The process of each replica that has begun, on its own machine."""
        return [worker.process for worker in self._workers if worker.process]

    def close(self) -> None:
        """End the replicas; leave the cluster, or end it where this engine started it."""
        self._inner.close()
        for worker in list(self._workers):
            self._dismiss(worker)
        if self._joined:
            self._ray.shutdown()
            self._joined = False

    def _chunks(self, requests: Sequence[Request]) -> Iterator[_Chunk]:
        """All requests of a conversation in one chunk: its prefix is then computed once."""
        alike: dict[tuple[Message, ...], list[int]] = {}
        for place, request in enumerate(requests):
            alike.setdefault(request.messages, []).append(place)
        share = math.ceil(len(requests) / (self._settings.replicas * CHUNKS_A_REPLICA))
        size = min(self._settings.chunk_size, share)
        places: list[int] = []
        for group in alike.values():
            places += group
            if len(places) >= size:
                yield _Chunk({place: requests[place] for place in places})
                places = []
        if places:
            yield _Chunk({place: requests[place] for place in places})

    def _start(self) -> Any:
        if self._ray is None or not self._joined:
            # Replicas begin in the environment of this process.
            getattr(self._inner, "require_environment", lambda: None)()
            self._ray = joined_ray(self._settings, self._where)
            self._joined = True
        return self._ray

    def _hire(self, wanted: int) -> None:
        """Ask for replicas until there are so many; Ray places each where there is room."""
        if len(self._workers) >= wanted:
            return
        settings = self._settings
        actor_class = self._ray.remote(Replica).options(
            num_cpus=settings.cpus_per_replica, num_gpus=settings.gpus_per_replica, max_restarts=0, max_task_retries=0
        )
        while len(self._workers) < wanted:
            actor = actor_class.remote(self._open, self._model, self._where, str(Path.cwd()))
            self._workers.append(_Worker(actor, actor.begin.remote()))

    def _hand_out(self, todo: deque[_Chunk]) -> None:
        for worker in self._workers:
            if todo and worker.idle:
                worker.chunk = todo.popleft()
                worker.places = list(worker.chunk.requests)
                worker.heard = time.monotonic()
                streaming = worker.actor.complete.options(num_returns="streaming")
                worker.stream = streaming.remote(list(worker.chunk.requests.values()))

    def _working(self) -> int:
        return sum(worker.stream is not None for worker in self._workers)

    def _heard(self, worker: _Worker, todo: deque[_Chunk]) -> Answers:
        """What a replica says next: that it has begun, answers, that its chunk is done, or that it died."""
        errors = self._ray.exceptions
        try:
            if worker.beginning is not None:
                self._begun(worker, self._ray.get(worker.beginning))
                return []
            said = self._ray.get(next(worker.stream))
        except StopIteration:
            self._died(worker, todo, "its engine left requests without an answer")
            return []
        except errors.RayTaskError as error:
            if not isinstance(error.cause, MemoryError):
                raise error.cause from error
            self._died(worker, todo, "it ran out of memory")
            return []
        except errors.RayError as error:
            self._died(worker, todo, next(iter(str(error).splitlines()), type(error).__name__))
            return []
        assert worker.chunk is not None
        if isinstance(said, str):
            raise EngineError(said)
        worker.chunk.deaths, worker.heard = 0, time.monotonic()
        answers = [(worker.places[place], completion) for place, completion in said]
        for place, _ in answers:
            del worker.chunk.requests[place]
        if not worker.chunk.requests:
            worker.chunk = worker.stream = None
        return answers

    def _silent(self) -> list[_Worker]:
        """Replicas that have had a chunk for too long without an answer, such as one whose process stands still."""
        longest = time.monotonic() - self._settings.answer_s
        return [worker for worker in self._workers if worker.stream is not None and worker.heard < longest]

    def _given_up(self, worker: _Worker, todo: deque[_Chunk]) -> Answers:
        self._died(worker, todo, f"no answer within {self._settings.answer_s:g} s, its setting answer_s")
        return []

    def _say_what_is_awaited(self, since: float) -> float:
        """Log it where nothing came for a while; returns since when nothing came, or was said."""
        quiet = time.monotonic() - since
        if quiet < QUIET_S:
            return since
        at_work = [worker for worker in self._workers if worker.chunk is not None and worker.stream is not None]
        beginning = sum(worker.beginning is not None for worker in self._workers)
        log.warning(
            "%s: nothing came for %.0f s; waiting for %d replicas that have work (processes %s) and %d that begin; one "
            "without an answer for %g s is replaced (answer_s)",
            self._where,
            quiet,
            len(at_work),
            ", ".join(str(worker.process) for worker in at_work) or "none",
            beginning,
            self._settings.answer_s,
        )
        return time.monotonic()

    def _begun(self, worker: _Worker, said: Mapping[str, Any]) -> None:
        worker.beginning = None
        if "error" in said:
            raise EngineError(said["error"])
        if said["identity"] != canonical_json(dict(self.identity)):
            raise EngineError(
                f"{self._where}: a replica's engine differs from the driver's ({said['identity']} there, "
                f"{canonical_json(dict(self.identity))} here); give all nodes the same model files and packages, and "
                "set dtype and device instead of `auto`"
            )
        worker.process = said["process"]

    def _put_back(self, worker: _Worker, todo: deque[_Chunk]) -> None:
        """Take a worker's chunk from it; what is left of that is handed out again."""
        if worker.chunk is not None and worker.chunk.requests:
            todo.appendleft(worker.chunk)
        worker.chunk = worker.stream = None

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._ray.kill(worker.actor)

    def _died(self, worker: _Worker, todo: deque[_Chunk], reason: str) -> None:
        self._dismiss(worker)
        chunk = worker.chunk or next(iter(todo), None)
        self._put_back(worker, todo)
        if chunk is None:
            return
        chunk.deaths += 1
        if chunk.deaths >= MOST_DEATHS:
            raise EngineError(
                f"{self._where}: {chunk.deaths} replicas in a row died without an answer ({reason}); what was answered "
                "is stored: give a replica more memory (a smaller batch or `chunk_size`, fewer `replicas`), then run "
                "the same command again"
            )
        log.warning(
            "%s: a replica died (%s); its other %d requests are handed out again",
            self._where,
            reason,
            len(chunk.requests),
        )

    def _no_room(self) -> str:
        there = {name: n for name, n in self._ray.cluster_resources().items() if name in ("CPU", "GPU")}
        return (
            f"{self._where}.settings: no replica started within {self._settings.start_s:g} s; each needs "
            f"{self._settings.cpus_per_replica:g} CPUs and {self._settings.gpus_per_replica:g} GPUs, and the cluster "
            f"has {there or 'none'}: lower cpus_per_replica or gpus_per_replica, or add nodes"
        )
