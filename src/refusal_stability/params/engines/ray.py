"""Settings of the engine `ray`: replicas of another engine, on one machine or many."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, AtLeast1, Flag, Number, Text, among, parsed, require, rule
from refusal_stability.params.engines.settings import ENGINES, EngineSettings

ADDRESS = re.compile(r"auto|[\w.\-]+:\d{1,5}|\[[\da-fA-F:]+\]:\d{1,5}")
Amount = Annotated[Number, Field(ge=0, le=1024)]


@dataclass(config=SECTION)
class RaySettings(EngineSettings, engine="ray"):
    """Replicas of another engine, on one machine or many.

    Attributes
    ----------
    wraps : the engine that each replica runs.
    settings : the wrapped engine's settings.
    replicas : how many replicas there are; each loads the model.
    gpus_per_replica : how many GPUs Ray reserves for a replica.
    cpus_per_replica : how many CPUs Ray reserves for a replica.
    address : a running cluster to join; null starts Ray on this machine.
    chunk_size : about how many requests a replica gets at once.
    dashboard : starts Ray's dashboard on this machine.
    start_s : how many seconds to wait while there is no replica at all.
    answer_s : how many seconds a replica may take for its next answer, before it is replaced.
    """

    lock_file: ClassVar = "requirements-ray.lock"
    environment: ClassVar = (
        "Replicas of the engine ray run in the environment of the engine that they wrap. Ray itself lies beside it, in "
        "`.venv-ray` (`make ray`)."
    )
    no_effect: ClassVar = frozenset({
        "address", "answer_s", "chunk_size", "cpus_per_replica", "dashboard", "gpus_per_replica", "replicas", "start_s",
    })  # fmt: skip
    model_files: ClassVar = (".gguf",)

    wraps: Annotated[Text, among("transformers", "vllm", "openai")] = "transformers"
    settings: dict[str, Any] = field(default_factory=dict)
    replicas: Annotated[AtLeast1, Field(le=1024)] = 1
    gpus_per_replica: Amount = 0.0
    cpus_per_replica: Amount = 1.0
    address: Annotated[Text, rule(ADDRESS.fullmatch, "auto, or host:port of the cluster's head")] | None = None
    chunk_size: AtLeast1 = 512
    dashboard: Flag = False
    start_s: Annotated[Number, Field(gt=0, le=86_400)] = 600.0
    answer_s: Annotated[Number, Field(gt=0, le=604_800)] = 3600.0

    @model_validator(mode="after")
    def _what_is_wrapped(self) -> RaySettings:
        for name in ("fold_system", "thinking_marks", "chat_template_kwargs"):
            require(not getattr(self, name), name, getattr(self, name), f"left out here; write settings.{name}")
        wrapped = self.wrapped()
        capped = next((name for name, cap in wrapped.caps().items() if cap is not None), None)
        require(
            capped is None, f"settings.{capped}", wrapped.caps().get(str(capped)), "left out: replicas do not share it"
        )
        require(not getattr(wrapped, "batch", False), "settings.batch", True, "false: a batch needs no replicas")
        return self

    def wrapped(self) -> Any:
        """The settings of the engine that replicas run."""
        schema = ENGINES[self.wraps]
        return parsed(schema, schema.from_keys(self.settings), "settings")

    @property
    def token_probabilities(self) -> bool:
        """Those of the wrapped engine."""
        return bool(self.wrapped().token_probabilities)

    def cost(self, prompt_tokens: float, answer_tokens: float) -> float | None:
        """What the wrapped engine's tokens cost."""
        found: float | None = self.wrapped().cost(prompt_tokens, answer_tokens)
        return found

    def caps(self) -> Mapping[str, int | None]:
        """None: see `_what_is_wrapped`."""
        return {}
