"""One replica of an engine, in a process of its own: what `engines.ray` makes actors of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.engines.protocol import Engine
from refusal_stability.params.engines import ModelParams
from refusal_stability.records import Completion, Request, StudyError, canonical_json

SENT_TOGETHER = 256
Open = Callable[[ModelParams, str], Engine]
Answers = list[tuple[int, Completion]]


class Replica:
    """One engine somewhere in a cluster.

    Parameters
    ----------
    open_engine : opens the engine by its settings.
    model, where : as for the engine.
    folder : the driver's, in which relative paths begin; the actor's own where there is no such folder.
    """

    def __init__(self, open_engine: Open, model: ModelParams, where: str, folder: str) -> None:
        self._open = open_engine
        self._model = model
        self._where = where
        if Path(folder).is_dir():
            os.chdir(folder)

    def begin(self) -> dict[str, Any]:
        """Open the engine; says what decides its completions and where it is, or why it cannot be opened."""
        try:
            self._engine = self._open(self._model, self._where)
        except StudyError as error:
            return {"error": str(error)}
        return {"identity": canonical_json(dict(self._engine.identity)), "process": os.getpid()}

    def complete(self, requests: Sequence[Request]) -> Iterator[Answers | str]:
        """Yield completions, those that are ready at once together; last, an error that concerns the whole run."""
        ready: Callable[[], int] = getattr(self._engine, "ready", lambda: 0)
        arrived: Answers = []
        try:
            for answer in self._engine.complete(requests):
                arrived.append(answer)
                if ready() == 0 or len(arrived) >= SENT_TOGETHER:
                    yield arrived
                    arrived = []
        except StudyError as error:
            if arrived:
                yield arrived
            yield str(error)
            return
        if arrived:
            yield arrived
