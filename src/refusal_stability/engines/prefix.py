"""A batch's prompts, each distinct one computed once, as keys and values that all rows which ask it go on from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# How many prompts are computed at once: always the same, so that float noise does not depend on what is left to do.
PREFILL_ROWS = 8


def shared_prefix(
    model: Any, rows: Sequence[list[int]], padded: Callable[[Sequence[list[int]]], Any], width: int, length: int
) -> Any | None:
    """The cache of a batch's prompts but for their last token, for `generate` to go on from.

    Parameters
    ----------
    model : a causal language model of transformers.
    rows : the prompt of each row, as tokens; most rows share theirs with others.
    padded : makes model inputs of `width` columns, padded on the left, from prompts.
    width, length : columns of the prompt, and tokens to be made at most.

    Returns
    -------
    transformers.Cache or None
        None for a model whose layers do not all keep every position (a sliding window, a state): `generate` then
        computes the prompts of all rows by itself.
    """
    import torch
    from transformers import Cache, DynamicCache
    from transformers.cache_utils import DynamicLayer

    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=model.config).layers):
        return None
    distinct = list(dict.fromkeys(map(tuple, rows)))
    parts = []
    for start in range(0, len(distinct), PREFILL_ROWS):
        some = [list(prompt) for prompt in distinct[start : start + PREFILL_ROWS]]
        inputs = padded([*some, *[some[-1]] * (PREFILL_ROWS - len(some))])
        positions = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        filled = DynamicCache(config=model.config)
        # The body alone: nobody asks for the scores of a prompt's own words.
        model.get_decoder()(**inputs, position_ids=positions, past_key_values=filled, use_cache=True)
        parts.append(filled)
    place = {prompt: position for position, prompt in enumerate(distinct)}
    chosen = torch.tensor([place[tuple(row)] for row in rows], device=model.device)
    layers = []
    for same in zip(*(part.layers for part in parts), strict=True):
        keys = torch.cat([each.keys for each in same])[:, :, : width - 1]
        values = torch.cat([each.values for each in same])[:, :, : width - 1]
        layers.append(_roomy_layer()(keys, values, chosen, width + length))
    return Cache(layers=layers)


@cache
def _roomy_layer() -> type:
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
        """Room for all tokens from the start: the usual layer copies all that it holds with every token."""

        def __init__(self, keys: torch.Tensor, values: torch.Tensor, chosen: torch.Tensor, room: int) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.lazy_initialization(keys, values)
            self._held = keys.shape[2]
            self._all = [self._with_room(part, chosen, room) for part in (keys, values)]
            self.keys, self.values = (part[:, :, : self._held] for part in self._all)

        def _with_room(self, part: torch.Tensor, chosen: torch.Tensor, room: int) -> torch.Tensor:
            shape = (len(chosen), part.shape[1], room, part.shape[3])
            roomy = part.new_empty(shape)
            roomy[:, :, : self._held] = part[chosen]
            return roomy

        def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
            """Write the new positions behind the old ones; keys and values of all positions so far."""
            end = self._held + key_states.shape[2]
            for part, new in zip(self._all, (key_states, value_states), strict=True):
                part[:, :, self._held : end] = new
            self._held = end
            self.keys, self.values = (part[:, :, :end] for part in self._all)
            return self.keys, self.values

    return RoomyLayer
