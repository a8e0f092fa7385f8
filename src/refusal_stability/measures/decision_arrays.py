"""A study's decisions as dense arrays: prompts x temperatures x seeds x judge repeats, a byte a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.distinct import Ints
from refusal_stability.measures.stability import tally
from refusal_stability.records import BENIGN, NOT_SAMPLED

Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Group:
    """One model under one intervention.

    Attributes
    ----------
    model, intervention : its names.
    decisions : judge -> (P, T, S, R) decision codes, `MISSING` where the judge made none, `NOT_SAMPLED` where no
        response was asked for (the same cells for every judge); R is that judge's repeats.
    primary : the judge whose first repeat feeds every figure that is not about judges.
    texts : (P, T, S) numbers that are equal exactly for byte-identical responses to one prompt, 0 for a missing
        response; None where the study has no responses (labels only).
    outcomes : (P, T, S) positions in `records.OUTCOMES`; None where the study has no responses.
    judged_once : the judges that decided each distinct (prompt, response) pair once per repeat, so that their equal
        decisions on equal texts are copies and carry no information on their noise.
    thinking : (P, T, S) decisions on the thinking alone, `NOT_SAMPLED` where there is none; None where the study does
        not judge it.
    unseeded : (P, T, S) whether the server took no seed for a response; None where no response is so or none is there.
    """

    model: str
    intervention: str
    decisions: Mapping[str, Codes]
    primary: str
    texts: NDArray[np.uint64] | None = None
    judged_once: frozenset[str] = frozenset()
    outcomes: Codes | None = None
    thinking: Codes | None = None
    unseeded: NDArray[np.bool_] | None = None

    @cached_property
    def codes(self) -> Codes:
        """(P, T, S) the decisions that feed the metrics."""
        return self.first(self.primary)

    def first(self, judge: str) -> Codes:
        """A judge's first repeat.

        Only the first, so that a study judged once and a study judged three times measure the same thing. The other
        repeats enter the judge's part of the decomposition instead.

        Parameters
        ----------
        judge : a key of `decisions`.

        Returns
        -------
        (P, T, S) decision codes.
        """
        return self.decisions[judge][..., 0]

    @cached_property
    def sampled_by_temperature(self) -> Ints:
        """(P, T) responses that were asked for at each temperature."""
        return np.asarray((self.codes != NOT_SAMPLED).sum(axis=-1, dtype=np.int64))

    @cached_property
    def counts_by_temperature(self) -> Ints:
        """(P, T, K) decisions at each temperature."""
        return tally(self.codes)

    @cached_property
    def counts(self) -> Ints:
        """(P, K) decisions over all configurations."""
        return np.asarray(self.counts_by_temperature.sum(axis=1))


@dataclass(frozen=True)
class DecisionArrays:
    """Everything that the metric tables are computed from.

    Attributes
    ----------
    prompt_ids, categories : (P,) object arrays; several categories are joined by `|`.
    temperatures, seeds : the axes of every cube.
    groups : the study's models and interventions, in the order of its parameters.
    missing : (model, intervention, judge) -> reason -> how many.
    missing_at : (model, intervention, judge) -> temperature -> reason -> how many.
    harms : (P,) one of `records.HARMS`, or empty where the prompt's source does not say; None where no source does.
    intents, languages : (P,) what several phrasings share, and a prompt's language; empty where the source does not
        say; None where no source does.
    """

    prompt_ids: NDArray[Any]
    categories: NDArray[Any]
    temperatures: tuple[float, ...]
    seeds: tuple[int, ...]
    groups: tuple[Group, ...]
    missing: Mapping[tuple[str, str, str], Mapping[str, int]]
    harms: NDArray[Any] | None = None
    intents: NDArray[Any] | None = None
    languages: NDArray[Any] | None = None
    missing_at: Mapping[tuple[str, str, str], Mapping[float, Mapping[str, int]]] = field(default_factory=dict)

    @cached_property
    def benign(self) -> NDArray[np.bool_]:
        """(P,) the prompts that are said to be benign; safety figures are over all the others."""
        return np.zeros(len(self.prompt_ids), dtype=bool) if self.harms is None else self.harms == BENIGN
