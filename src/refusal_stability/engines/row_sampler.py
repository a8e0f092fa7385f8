"""Draw one token a row, each row with its own temperature and random stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_stability.engines.protocol import EngineError
from refusal_stability.records import Sampling

if TYPE_CHECKING:
    import torch

# Vocabularies are searched block by block: about the square root of a large one.
BLOCK = 256
# At temperatures up to this one the scores, divided, would pass the largest 32-bit float: the likeliest token is taken.
GREEDY_UP_TO = 1e-30


class RowSampler:
    """A logits processor that draws one token a row, each row with its own temperature and random stream.

    It gives the drawn token an infinite score, so that `generate`'s greedy choice takes it. At temperature 0
    (or next to it) the row is left as it is. Otherwise the token is the inverse of the row's cumulative distribution
    at one uniform number: cheaper than Gumbel noise, which needs a number for every word of the vocabulary.
    """

    def __init__(self, rows: Sequence[Sampling], width: int, length: int, device: str) -> None:
        import torch
        from transformers import TopKLogitsWarper, TopPLogitsWarper

        self._width = width
        temperatures = torch.tensor([row.temperature for row in rows], dtype=torch.float32, device=device)
        self._sampled = (temperatures > GREEDY_UP_TO).nonzero().squeeze(1)
        self._temperatures = temperatures[self._sampled].unsqueeze(1)
        streams = [rows[i].stream for i in self._sampled.tolist()]
        self._uniforms = torch.from_numpy(uniforms(streams, length)).to(device)
        self._warpers: list[Any] = []
        if rows[0].top_k > 0:
            self._warpers.append(TopKLogitsWarper(rows[0].top_k))
        if rows[0].top_p < 1:
            self._warpers.append(TopPLogitsWarper(rows[0].top_p))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores (rows x vocabulary), changed in place: the drawn token's is infinite on the rows that sample."""
        step = input_ids.shape[1] - self._width
        # The largest score of a row with a NaN is NaN. A finished row may have none but forbidden ones.
        if not bool((scores.amax(dim=-1) < float("inf")).all()):
            raise EngineError(
                f"the model computes no numbers (NaN or infinity) for token {step + 1} of an answer: its weights are "
                "damaged, or do not fit its dtype; fetch the weights again, or set another dtype"
            )
        if not len(self._sampled):
            return scores
        warped = scores[self._sampled].float().div_(self._temperatures)
        for warper in self._warpers:
            warped = warper(input_ids, warped)
        token = inverse_cdf(warped.softmax(dim=-1), self._uniforms[:, step : step + 1])
        scores[self._sampled, token] = float("inf")
        return scores


def inverse_cdf(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The index in each row of `weights` (rows x n, not negative) at which the cumulative weight passes `uniform`.

    `uniform` is (rows x 1), in [0, 1). The sums of blocks are searched first and then one block, so that only a small
    part of a large vocabulary is summed up in double precision. An index of weight 0 is never returned.
    """
    import torch

    if missing := -weights.shape[1] % BLOCK:
        weights = torch.nn.functional.pad(weights, (0, missing))
    blocks = weights.reshape(len(weights), -1, BLOCK)
    sums = blocks.sum(dim=-1)
    ends = sums.double().cumsum(dim=-1)
    target = uniform.clamp(max=1 - 1e-12) * ends[:, -1:]
    block = (ends > target).to(torch.uint8).argmax(dim=-1, keepdim=True)
    before = (ends - sums).gather(1, block)
    inside = blocks[torch.arange(len(blocks), device=blocks.device), block[:, 0]].double().cumsum(dim=-1)
    # The block's sum and the last of its running sums may differ by rounding.
    within = torch.minimum((target - before).clamp(min=0), inside[:, -1:] * (1 - 1e-12))
    place = (inside > within).to(torch.uint8).argmax(dim=-1)
    found: torch.Tensor = block[:, 0] * BLOCK + place
    return found


def uniforms(streams: Sequence[int], length: int) -> np.ndarray:
    """Uniform numbers in [0, 1), shape (len(streams), length); row i is the Philox stream keyed `streams[i]`."""
    rows = [np.random.Generator(np.random.Philox(key=stream)).random(length) for stream in streams]
    return np.array(rows).reshape(len(streams), length)
