"""What generated and judged a study's responses, as the store recorded it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from refusal_stability.engines.store_file import Session, StoreError
from refusal_stability.engines.store_view import StoreView


def engines_that_ran(store: Path, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """What the engine of each model or judge said of itself, by name, oldest first.

    Parameters
    ----------
    store : the study's store; nothing is known where there is none, or none that can be read.
    names : of models and judges, as sessions are captioned.

    Returns
    -------
    dict
        Name -> descriptions of all sessions of the engine that worked last; a name without a session is left out.
    """
    sessions: list[Session] = []
    with suppress(StoreError), StoreView(store) as opened:
        sessions = opened.sessions()
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        mine = [session for session in sessions if session.caption == name]
        for session in mine:
            if session.identity == mine[-1].identity:
                with suppress(ValueError):
                    found.setdefault(name, []).append(dict(json.loads(session.description)))
    return found
