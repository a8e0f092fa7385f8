"""Answers of one prompt, model and temperature are repeats only where nothing else that was sent differs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from refusal_stability.exchange.logged import LogError


@dataclass
class EqualSettings:
    """What was sent with the first answer to each prompt, and where it stands."""

    _first: dict[Hashable, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    def check(self, place: str, cell: Hashable, settings: Mapping[str, Any]) -> None:
        """Refuse what asks a `cell` (model, prompt and temperature) with other settings than before."""
        other_place, other = self._first.setdefault(cell, (place, settings))
        differing = sorted(key for key in settings.keys() | other.keys() if settings.get(key) != other.get(key))
        if differing:
            raise LogError(
                f"{place}: asks what {other_place} asks, but with another {', '.join(differing)}, so it is no repeat; "
                "import the requests of each setting as a study of their own"
            )
