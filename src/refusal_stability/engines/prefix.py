"""Compute each distinct prompt of a batch once, as keys and values that all its rows continue from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# How many prompts are computed at once, and the columns that each is padded to. Both follow from the prompt alone, so
# that float noise does not depend on what is left to do.
PREFILL_ROWS = 8
COLUMN_STEP = 16


def shared_prefix(
    model: Any,
    rows: Sequence[list[int]],
    padded: Callable[[Sequence[list[int]], int], Any],
    width: int,
    length: int,
    exact: bool,
) -> Any | None:
    """The cache of a batch's prompts without their last token, for `generate` to continue from.

    Parameters
    ----------
    model : a causal language model of transformers.
    rows : the prompt of each row, as tokens. Most rows share theirs with others.
    padded : makes model inputs from prompts and a number of columns, padded on the left.
    width, length : columns of the prompt, and the most tokens to be generated.
    exact : whether a row's numbers are the same for any number of rows. Then fewer than `PREFILL_ROWS` are not filled
        up.

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
    by_columns: dict[int, list[tuple[int, ...]]] = {}
    for prompt in dict.fromkeys(map(tuple, rows)):
        by_columns.setdefault(min(width, -(-len(prompt) // COLUMN_STEP) * COLUMN_STEP), []).append(prompt)
    parts: list[tuple[int, Any]] = []
    place: dict[tuple[int, ...], int] = {}
    computed = 0
    for columns, prompts in by_columns.items():
        for start in range(0, len(prompts), PREFILL_ROWS):
            some = prompts[start : start + PREFILL_ROWS]
            place.update({prompt: computed + number for number, prompt in enumerate(some)})
            some += [some[-1]] * (0 if exact else PREFILL_ROWS - len(some))
            computed += len(some)
            inputs = padded([list(prompt) for prompt in some], columns)
            positions = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
            filled = DynamicCache(config=model.config)
            # Without the head: the scores of a prompt's own words are not needed.
            model.get_decoder()(**inputs, position_ids=positions, past_key_values=filled, use_cache=True)
            parts.append((columns, filled))
    chosen = torch.tensor([place[tuple(row)] for row in rows], device=model.device)
    layers = []
    for number in range(len(parts[0][1].layers)):
        both = []
        for name in ("keys", "values"):
            widened = [
                torch.nn.functional.pad(getattr(part.layers[number], name), (0, 0, width - columns, 0))
                for columns, part in parts
            ]
            both.append(torch.cat(widened)[:, :, : width - 1])
        layers.append(_roomy_layer()(*both, chosen, width + length))
    return Cache(layers=layers)


@cache
def _roomy_layer() -> type:
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
        """Space for all tokens from the start. The usual layer copies all that it holds with every token."""

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
            """Write the new positions behind the old ones, and return the keys and values of all positions."""
            end = self._held + key_states.shape[2]
            for part, new in zip(self._all, (key_states, value_states), strict=True):
                part[:, :, self._held : end] = new
            self._held = end
            self.keys, self.values = (part[:, :, :end] for part in self._all)
            return self.keys, self.values

    return RoomyLayer
