"""Compute each distinct prompt once, as keys and values that all its rows continue from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

# How many prompts are computed at once, and the columns that each is padded to. Both follow from the prompt alone, so
# that float noise does not depend on what is left to do.
PREFILL_ROWS = 8
COLUMN_STEP = 16
SPARE = 8  # one part in so many of the free memory holds prompts between batches
_Prompt = tuple[int, tuple[int, ...]]  # columns, and tokens


class _Place(NamedTuple):
    """Where a prompt's keys and values are: a row of a cache of several prompts."""

    part: Any
    row: int


class Prompts:
    """Computes each prompt once for all its rows, and keeps what fits for the batches to come.

    Parameters
    ----------
    model : a causal language model of transformers.
    padded : makes model inputs from prompts and a number of columns, padded on the left.
    exact : whether a row's numbers are the same for any number of rows. Then fewer than `PREFILL_ROWS` are not filled
        up.
    room : bytes of keys and values that are kept between batches.
    """

    def __init__(
        self, model: Any, padded: Callable[[Sequence[list[int]], int], Any], exact: bool, room: int = 0
    ) -> None:
        self._model, self._padded, self._exact, self._room = model, padded, exact, room
        self._kept: dict[_Prompt, _Place] = {}

    def prefix(self, rows: Sequence[list[int]], width: int, length: int) -> Any | None:
        """The cache of a batch's prompts without their last token, for `generate` to continue from.

        Parameters
        ----------
        rows : the prompt of each row, as tokens. Most rows share theirs with others.
        width, length : columns of the prompt, and the most tokens to be generated.

        Returns
        -------
        transformers.Cache or None
            None for a model whose layers do not all keep every position (a sliding window, a state): `generate` then
            computes the prompts of all rows by itself.
        """
        from transformers import Cache, DynamicCache
        from transformers.cache_utils import DynamicLayer

        if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=self._model.config).layers):
            return None
        prompts = [(min(width, -(-len(row) // COLUMN_STEP) * COLUMN_STEP), tuple(row)) for row in rows]
        places = self._kept | self._compute([one for one in dict.fromkeys(prompts) if one not in self._kept])
        parts: dict[int, list[int]] = {}
        for row, prompt in enumerate(prompts):
            parts.setdefault(id(places[prompt].part), []).append(row)
        shares = [
            (places[prompts[here[0]]].part, prompts[here[0]][0], here, [places[prompts[row]].row for row in here])
            for here in parts.values()
        ]
        n_layers = len(shares[0][0].layers)
        return Cache(layers=[_roomy_layer()(shares, number, width, width + length) for number in range(n_layers)])

    def _compute(self, prompts: Sequence[_Prompt]) -> dict[_Prompt, _Place]:
        from transformers import DynamicCache

        by_columns: dict[int, list[_Prompt]] = {}
        for prompt in prompts:
            by_columns.setdefault(prompt[0], []).append(prompt)
        found: dict[_Prompt, _Place] = {}
        for columns, alike in by_columns.items():
            for start in range(0, len(alike), PREFILL_ROWS):
                some = alike[start : start + PREFILL_ROWS]
                filled_up = some + [some[-1]] * (0 if self._exact else PREFILL_ROWS - len(some))
                inputs = self._padded([list(tokens) for _, tokens in filled_up], columns)
                positions = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
                part: Any = DynamicCache(config=self._model.config)
                # Without the head: the scores of a prompt's own words are not needed.
                self._model.get_decoder()(**inputs, position_ids=positions, past_key_values=part, use_cache=True)
                computed = {prompt: _Place(part, row) for row, prompt in enumerate(some)}
                found |= computed
                size = sum(layer.keys.nbytes + layer.values.nbytes for layer in part.layers)
                if size <= self._room:
                    self._room -= size
                    self._kept |= computed
        return found


def spare_memory(device: str) -> int:
    """Bytes that may hold prompts between batches: an eighth of what is free; 0 where that is not known."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0] // SPARE)
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // SPARE
    except (AttributeError, ValueError, OSError):
        return 0


@cache
def _roomy_layer() -> type:
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
        """Space for all tokens from the start. The usual layer copies all that it holds with every token."""

        def __init__(self, shares: Sequence[tuple[Any, int, list[int], list[int]]], number: int, width: int, room: int):
            super().__init__()  # type: ignore[no-untyped-call]
            layers = [(part.layers[number], columns, rows, places) for part, columns, rows, places in shares]
            self.lazy_initialization(layers[0][0].keys, layers[0][0].values)
            self._held, self._all = width - 1, []
            for name in ("keys", "values"):
                like = getattr(layers[0][0], name)
                n_rows = sum(len(rows) for _, _, rows, _ in layers)
                roomy = like.new_empty((n_rows, like.shape[1], room, like.shape[3]))
                roomy[:, :, : self._held] = 0
                for layer, columns, rows, places in layers:
                    roomy[rows, :, width - columns : self._held] = getattr(layer, name)[places, :, : columns - 1]
                self._all.append(roomy)
            self.keys, self.values = (part[:, :, : self._held] for part in self._all)

        def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
            """Write the new positions behind the old ones, and return the keys and values of all positions."""
            end = self._held + key_states.shape[2]
            for part, new in zip(self._all, (key_states, value_states), strict=True):
                part[:, :, self._held : end] = new
            self._held = end
            self.keys, self.values = (part[:, :, :end] for part in self._all)
            return self.keys, self.values

    return RoomyLayer
