"""Whether an engine uses the seeds that it is given, judged by its answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from refusal_stability.records import Completion, Request

# A real model's prompts whose every seed gave one and the same text at its highest temperature: 0 of 1,752 in the
# published study's two models (at 0.3, 24 of 1,752). Half of them is far beyond what chance and short refusals make.
CHANCE = 0.5
SIGNIFICANCE = 0.001


@dataclass(frozen=True)
class SeedUse:
    """How often different seeds gave the same text, at the highest temperature over 0.

    Attributes
    ----------
    temperature : that temperature; 0 where nothing was sampled.
    groups : requests that differ in their seed alone, counted as one group; those with at least two answers.
    same : groups in which all texts are identical.
    ignored : whether `same` is too many for chance.
    """

    temperature: float
    groups: int
    same: int
    ignored: bool

    def warning(self, name: str) -> str | None:
        """One sentence for the person who runs the study, or None when nothing is wrong."""
        if not self.ignored:
            return None
        return (
            f"{name}: different seeds gave identical text for {self.same} of {self.groups} prompts at temperature "
            f"{self.temperature:g}: the server seems to ignore `seed` (or answers from a cache), so its repeats are "
            "not independent draws, and its stability is overstated"
        )


def unseeded_warning(name: str, completions: Sequence[Completion]) -> str | None:
    """One sentence where a server got no seeds, or None."""
    unseeded = sum(bool(completion.details.get("unseeded")) for completion in completions)
    if not unseeded:
        return None
    return (
        f"{name}: {unseeded} of {len(completions)} responses were drawn without a seed, because the server takes none: "
        "its repeats are independent draws, but no rerun reproduces them"
    )


def seed_use(requests: Iterable[Request], completions: Iterable[Completion]) -> SeedUse:
    """Whether different seeds give identical text far more often than chance.

    Parameters
    ----------
    requests, completions : of one model, in the same order.

    Returns
    -------
    SeedUse
        `ignored` is a one-sided exact binomial test at level 0.001: under the null hypothesis a group is all-identical
        with probability at most 1/2, so P(X >= same | groups, 1/2) decides. At least 10 groups are needed to reject.

    Notes
    -----
    Groups hold requests equal in all but seed and stream, at the highest temperature over 0 of the study, where
    chance makes identical text rarest. Thinking counts as text. Missing completions are left out. A server that draws
    anew whatever the seed passes: its repeats are independent, though no rerun reproduces them.
    """
    pairs = zip(requests, completions, strict=True)
    drawn = [(r, c) for r, c in pairs if r.sampling.temperature > 0 and c.missing_reason is None]
    if not drawn:
        return SeedUse(0.0, 0, 0, False)
    highest = max(request.sampling.temperature for request, _ in drawn)
    alike: dict[Any, list[tuple[int, tuple[str, str]]]] = defaultdict(list)
    for request, completion in drawn:
        if request.sampling.temperature == highest:
            same_but_seed = (request.messages, replace(request.sampling, seed=0, stream=0), request.schema_text())
            alike[same_but_seed].append((request.sampling.stream, (completion.thinking, completion.text)))
    groups = [answers for answers in alike.values() if len({stream for stream, _ in answers}) > 1]
    same = sum(len({text for _, text in answers}) == 1 for answers in groups)
    return SeedUse(highest, len(groups), same, _at_least(same, len(groups)) < SIGNIFICANCE)


def _at_least(successes: int, trials: int) -> float:
    """P(X >= successes) for X ~ Binomial(trials, 1/2)."""
    from scipy.special import bdtrc

    return float(bdtrc(successes - 1, trials, 0.5)) if successes > 0 else 1.0
