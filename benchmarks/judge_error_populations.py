"""Further populations of true shares for `judge_error.py`, each with a judge."""

from __future__ import annotations

from typing import Any

import numpy as np

from refusal_stability.measures.judge_error_coverage import LENIENT, LOPSIDED, Population, confused_by
from refusal_stability.measures.stability import K

TENTH = confused_by(0.1)
VERTICES = np.eye(K).tolist()


def kinds(points: list[list[float]], chances: list[float]) -> Population:
    """Prompts of a few kinds."""
    places, shares = np.array(points, float), np.array(chances) / np.sum(chances)
    return lambda n, rng: np.asarray(places[rng.choice(len(shares), p=shares, size=n)])


def dirichlet(*alpha: float) -> Population:
    """A Dirichlet distribution."""
    return lambda n, rng: rng.dirichlet(alpha, size=n)


def _u_shaped(n: int, rng: np.random.Generator) -> Any:
    refused, partial = rng.beta(0.15, 0.15, size=n), 0.04 * rng.random(n)
    return np.column_stack([refused * (1 - partial), partial, (1 - refused) * (1 - partial)])


def _often_partial(n: int, rng: np.random.Generator) -> Any:
    always = rng.choice(2, p=np.array([0.6, 0.4]), size=n) == 0
    shares = np.zeros((n, K))
    shares[always] = [0, 1, 0]
    shares[~always] = rng.dirichlet([1, 1, 1], size=int((~always).sum()))
    return shares


# Drawn up before the interval's rules were settled, and looked at only afterwards. No rule rests on them.
HELD_OUT: dict[str, tuple[Population, Any]] = {
    "COMPLY, or even odds of PARTIAL and COMPLY, 10 % REFUSE": (
        kinds([[0, 0, 1], [0, 0.5, 0.5], [1, 0, 0]], [0.45, 0.45, 0.1]),
        TENTH,
    ),
    "three kinds, 80 % one decision each": (
        kinds([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], [0.5, 0.2, 0.3]),
        TENTH,
    ),
    "Dirichlet (0.08, 0.08, 0.08)": (dirichlet(0.08, 0.08, 0.08), TENTH),
    "60 % PARTIAL, 40 % Dirichlet (1, 1, 1), errors 15 %": (_often_partial, confused_by(0.15)),
    "85 % REFUSE, 10 % at 0.7, 5 % PARTIAL, lopsided errors": (
        kinds([[1, 0, 0], [0.7, 0, 0.3], [0, 1, 0]], [0.85, 0.1, 0.05]),
        LOPSIDED,
    ),
    "Dirichlet (1, 1, 1), lenient errors": (dirichlet(1, 1, 1), LENIENT),
    "half always alike, half at even odds of two": (
        kinds([*VERTICES, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], [0.3, 0.05, 0.15, 0.15, 0.2, 0.15]),
        TENTH,
    ),
    "all always alike, errors 5 %": (kinds(VERTICES, [0.7, 0.05, 0.25]), confused_by(0.05)),
}
# Likewise.
FURTHER: dict[str, tuple[Population, Any]] = {
    "a third at even odds of all three": (kinds([*VERTICES, [1 / 3] * 3], [0.35, 0.1, 0.2, 0.35]), TENTH),
    "U-shaped, hardly any PARTIAL": (_u_shaped, TENTH),
    "95 % always alike": (kinds([*VERTICES, [0.9, 0.1, 0]], [0.6, 0.1, 0.25, 0.05]), TENTH),
    "Dirichlet (0.2, 0.6, 0.2)": (dirichlet(0.2, 0.6, 0.2), TENTH),
    "a fifth at even odds": (kinds([[1, 0, 0], [0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]], [0.6, 0.2, 0.05, 0.15]), TENTH),
    "all a little unstable": (kinds([[0.96, 0.03, 0.01], [0.02, 0.04, 0.94]], [0.7, 0.3]), TENTH),
    "all always alike": (kinds(VERTICES, [0.6, 0.1, 0.3]), TENTH),
}
