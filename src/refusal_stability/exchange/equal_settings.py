"""Answers of one prompt, model and temperature are repeats only where nothing else that was sent differs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from refusal_stability.exchange.logged import LogError

# Of the arguments that a harness opens a model with: its name, and how fast and where it runs.
OF_THE_MACHINE = {
    *("model", "pretrained", "model_path", "model_name", "base_url", "host", "port", "api_key", "auth_token", "header"),
    *("batch_size", "max_batch_size", "num_concurrent", "max_connections", "max_retries", "timeout", "seed"),
    *("device", "device_map", "parallelize", "tensor_parallel_size", "data_parallel_size", "gpu_memory_utilization"),
    *("tokenizer_backend", "tokenized_requests", "verify_certificate", "trust_remote_code"),
}


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
