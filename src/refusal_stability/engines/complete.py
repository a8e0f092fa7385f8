"""Complete requests through the store: what is stored is looked up, the rest is sent and kept as it arrives.

The store keeps texts as the model wrote them. Thinking is set apart here, for every engine alike, so that a study can
name further marks without paying again, and old stores are read in the same way.
"""

from __future__ import annotations

import gc
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from refusal_stability.engines.answers import final_answer
from refusal_stability.engines.conversation import as_sent
from refusal_stability.engines.protocol import Engine
from refusal_stability.engines.running import going_on, saver
from refusal_stability.engines.store import Session, Store, completion_key
from refusal_stability.engines.thinking_marks import MARKS, Marks
from refusal_stability.progress import progress
from refusal_stability.records import Completion, Message, Outcome, Request, StudyError, canonical_json, storable_text

POLL_SECONDS = 0.2
SESSION_SECONDS = 1.0
COMMIT_SIZE = 256
WAIT_SECONDS = 20.0
# The garbage collector looks after so many objects are new, some 50 MB of them at most.
NEW_OBJECTS = 50_000


def complete_stored(
    engine: Engine,
    requests: Sequence[Request],
    store: Store,
    caption: str,
    ask_again: Collection[Outcome] = (),
) -> list[Completion]:
    """Complete every request, sending the engine only what the store lacks.

    Parameters
    ----------
    engine : sends and draws; its `identity` is part of every key.
    requests : any length; equal requests are sent once and share their completion.
    store : where each completion is kept as soon as the engine yields it.
    caption : what progress lines and the session record call this work.
    ask_again : outcomes without text. Requests that are stored with one of these are sent again.

    Returns
    -------
    list[Completion]
        One a request, in the order of `requests`, each with its final answer. Of completions without a text only those
        that are `settled` are stored; for the others a rerun asks again. Where no request at all has a text, nothing is
        kept: the account or the server is then more likely at fault than each prompt.
    """
    requests = as_sent(engine, requests)
    identity = canonical_json(dict(engine.identity))
    keys = [completion_key(identity, request) for request in requests]
    by_key = dict(zip(keys, requests, strict=True))
    getattr(engine, "kept_in", lambda _: None)(store)
    done = store.find(by_key)
    if again := {key for key, found in done.items() if found.missing_reason and found.outcome in ask_again}:
        store.forget(again)
        done = {key: found for key, found in done.items() if key not in again}
    if len(done) == len(by_key):
        return _final(engine, by_key, done, keys)
    if damaged := store.drop_damaged():
        print(
            f"warning: {store.path}: {damaged:,} damaged rows dropped; what this study needs of them is generated "
            "again, all others are kept",
            file=sys.stderr,
        )
    save = saver(store.path, identity, caption)
    with progress(caption, len(by_key), len(done), save=save) as work, _old_objects_set_aside():
        session = Session(
            uuid.uuid4().hex,
            caption,
            identity,
            canonical_json(dict(engine.description)),
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        waits = _Waits(store.path)
        while missing := [key for key in by_key if key not in done]:
            mine = store.claim(missing)
            for key, completion in _send(engine, by_key, mine, store, session):
                done[key] = completion
                work.advance(1, completion.completion_tokens, completion.missing_reason)
            if not mine:
                waits.look(len(missing))
                time.sleep(POLL_SECONDS)
            others = store.find(key for key in missing if key not in done)
            done.update(others)
            work.advance(len(others))
        if session.completions:
            store.save_session(session)
    if all(completion.missing_reason for completion in done.values()):
        store.forget([key for key, completion in done.items() if completion.details.get("settled")])
    return _final(engine, by_key, done, keys)


class _Waits:
    """Says, once, that a run only waits for what another process has asked; that one may be suspended."""

    def __init__(self, path: Path) -> None:
        self._path, self._missing, self._since, self._said = path, -1, 0.0, False

    def look(self, missing: int) -> None:
        """Called between two looks into the store, with the number of answers that another process asked for."""
        now = time.monotonic()
        if missing != self._missing:
            self._missing, self._since = missing, now
        if self._said or now - self._since < WAIT_SECONDS:
            return
        self._said = True
        others = ", ".join(map(str, sorted(going_on(self._path)))) or "of another machine or user"
        print(
            f"{self._path}: {missing:,} answers are asked for by another process ({others}), and none came for "
            f"{WAIT_SECONDS:.0f} s; waiting for it. If it is suspended, let it go on (`fg`) or end it: this run then "
            "asks for them itself",
            file=sys.stderr,
            flush=True,
        )


def _final(
    engine: Engine, by_key: Mapping[str, Request], done: Mapping[str, Completion], keys: Sequence[str]
) -> list[Completion]:
    """The completions in the order of `keys`, each with its final answer."""
    marks: Marks = getattr(engine, "thinking_marks", MARKS)
    opened = lru_cache(maxsize=None)(getattr(engine, "opened_thinking", lambda _: ""))
    final = {
        key: with_final_answer(_from_its_mark(completion, by_key[key], opened), marks)
        for key, completion in done.items()
    }
    return [final[key] for key in keys]


def _from_its_mark(
    completion: Completion, request: Request, opened: Callable[[tuple[Message, ...]], str]
) -> Completion:
    """A completion whose text begins with the mark of thinking that its prompt left open."""
    text = completion.text.lstrip()
    if completion.missing_reason is not None or completion.outcome is Outcome.REFUSED or completion.thinking:
        return completion
    if request.schema is not None and text.startswith("{"):
        # The schema left no room for thinking.
        return completion
    mark = opened(request.messages)
    return replace(completion, text=mark + completion.text) if mark and not text.startswith(mark) else completion


def with_final_answer(completion: Completion, marks: Marks = MARKS) -> Completion:
    """A completion whose text is the final answer only."""
    if completion.missing_reason is not None or completion.outcome is Outcome.REFUSED:
        return completion
    found = final_answer(completion.text, completion.finish_reason, marks, completion.thinking)
    if found.missing_reason is not None:
        return replace(
            completion,
            text="",
            thinking=found.thinking,
            finish_reason="",
            missing_reason=found.missing_reason,
            outcome=found.outcome,
        )
    if (found.text, found.thinking) == (completion.text, completion.thinking):
        return completion
    return replace(completion, text=found.text, thinking=found.thinking)


@contextmanager
def _old_objects_set_aside() -> Iterator[None]:
    """Let the garbage collector search only what is new, and that more seldom.

    Each full search visits every object of pandas and all requests, a tenth of what a request costs.
    """
    before, aside = gc.get_threshold(), gc.get_freeze_count()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        # What the caller had set aside stays aside.
        if not aside:
            gc.unfreeze()


def _send(
    engine: Engine, by_key: Mapping[str, Request], keys: Sequence[str], store: Store, session: Session
) -> Iterator[tuple[str, Completion]]:
    """Yield (key, completion) of each answer once it is stored."""
    if not keys:
        return
    start = saved = time.monotonic()
    seconds_before = session.seconds
    answered: set[int] = set()
    for arrived in _arriving_together(engine, [by_key[key] for key in keys]):
        if not answered.isdisjoint(position for position, _ in arrived):
            raise RuntimeError("the engine answered a request twice")
        answered.update(position for position, _ in arrived)
        completions = [(keys[position], completion) for position, completion in arrived]
        session.completions += len(completions)
        session.prompt_tokens += sum(completion.prompt_tokens for _, completion in completions)
        session.completion_tokens += sum(completion.completion_tokens for _, completion in completions)
        now = time.monotonic()
        session.seconds = seconds_before + now - start
        due = now - saved > SESSION_SECONDS
        store.put_all(completions, session if due else None)
        saved = now if due else saved
        yield from completions
    if len(answered) != len(keys):
        raise RuntimeError(f"the engine answered {len(answered)} of {len(keys)} requests")


def _arriving_together(engine: Engine, requests: Sequence[Request]) -> Iterator[list[tuple[int, Completion]]]:
    """What the engine yields, cut where it would wait: it is asked for more only when all before is stored."""
    ready: Callable[[], int] = getattr(engine, "ready", lambda: 0)
    arrived: list[tuple[int, Completion]] = []
    try:
        for position, answer in engine.complete(requests):
            if not (answer.text.isascii() and answer.thinking.isascii()):
                text, thinking = storable_text(answer.text), storable_text(answer.thinking)
                if text != answer.text or thinking != answer.thinking:
                    answer = replace(answer, text=text, thinking=thinking)
            arrived.append((position, answer))
            if ready() == 0 or len(arrived) >= COMMIT_SIZE:
                yield arrived
                arrived = []
        if arrived:
            yield arrived
    except StudyError:
        # The engine gave up in the middle of a handful: what it had yielded is paid for.
        if arrived:
            yield arrived
        raise
