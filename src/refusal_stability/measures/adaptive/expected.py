"""How many samples a rule will take where instability is predicted: grids are drawn to match, and the rule is run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refusal_stability.measures.adaptive.rounds import Mask, designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import StoppingRule
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.stability import K, below, flips, ssi, tally

SPREAD = 0.5  # of the Dirichlet distribution that wavering prompts' decision shares are drawn from
DRAWS = 400  # of a kind of grid before it is taken to be impossible


def expected_spending(
    flipping: Floats,
    unstable: Floats,
    temperatures: Sequence[float],
    n_seeds: int,
    rule: StoppingRule,
    order: str,
    rng: np.random.Generator,
) -> float:
    """The share of the grid that a rule is expected to sample.

    Parameters
    ----------
    flipping, unstable : (P,) each prompt's predicted chance that its full grid flips, and is unstable; NaN where there
        is no prediction, which counts as the mean of the others.
    temperatures, n_seeds : the grid.
    rule : when to stop; it starts from `unstable`.
    order : see `rounds.ranks`.
    rng : draws the grids.

    Returns
    -------
    In (0, 1]. Decisions are drawn with the same shares at every temperature.
    """
    chances = [np.where(np.isnan(chance), np.nanmean(chance), chance) for chance in (unstable, flipping)]
    at = rng.random(len(unstable))
    is_unstable, flips_at_all = (at < chance for chance in chances)
    codes = drawn_grids(is_unstable, flips_at_all & ~is_unstable, (len(temperatures), n_seeds), rule.threshold, rng)
    design = designed(temperatures, n_seeds, len(codes), rule, order, rng)
    sampled = sample_by_rounds(lambda _: codes, design, rule, predicted=unstable)
    return float(sampled.spent.sum() / codes.size)


def drawn_grids(
    unstable: Mask, wavering: Mask, shape: tuple[int, int], threshold: float, rng: np.random.Generator
) -> Codes:
    """Decisions of a full grid for prompts of which it is known whether they flip and are unstable.

    Parameters
    ----------
    unstable : (P,) prompts whose SSI shall be below the threshold.
    wavering : (P,) other prompts that shall show more than one decision.
    shape : temperatures and seeds.
    threshold : of SSI.
    rng : the source of randomness.

    Returns
    -------
    (P, T, S) codes. Prompts of neither kind show one decision. A kind that the grid cannot show, as a flip in a single
    sample, comes out as that too.
    """
    codes = np.broadcast_to(rng.integers(K, size=(len(unstable), 1, 1)), (len(unstable), *shape)).astype(np.int8)
    for wanted in (unstable, wavering):
        left = np.flatnonzero(wanted)
        for _ in range(DRAWS):
            if not len(left):
                break
            shares = rng.dirichlet(np.full(K, SPREAD), size=len(left)).cumsum(axis=1)
            grids = (rng.random((len(left), *shape, 1)) > shares[:, None, None, :-1]).sum(axis=3).astype(np.int8)
            counts = tally(grids).sum(axis=1)
            fits = (
                below(ssi(counts), threshold) if wanted is unstable else flips(counts) & ~below(ssi(counts), threshold)
            )
            codes[left[fits]] = grids[fits]
            left = left[~fits]
    return codes
