"""Settings of the engine `vllm`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, ClassVar

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from refusal_stability.params.checks import SECTION, AtLeast1, Flag, require
from refusal_stability.params.engines.settings import EngineSettings, TemplateDate

ELSEWHERE = {
    "model": "the model's `path`",
    "revision": "the model's own `revision`",
    "trust_remote_code": "the model's own `trust_remote_code`",
    "seed": "sampling.seeds: every request has a seed of its own",
    "hf_token": "the environment variable HF_TOKEN: a secret is no parameter",
    "arguments": "settings itself: write vLLM's arguments there",
}


@dataclass(config=SECTION)
class VLLMSettings(EngineSettings, engine="vllm"):
    """Some settings of our own; every other key is an argument of vLLM's `EngineArgs`.

    Attributes
    ----------
    batch_invariant : makes an answer independent of the others in its batch; needs an NVIDIA GPU.
    cpu_kvcache_gib : the memory for the cache on a CPU, in GiB.
    template_date : the date that the chat template writes into the prompt.
    arguments : where vLLM's arguments are kept; write them beside the other settings, not here.
    """

    lock_file: ClassVar = "requirements-vllm.lock"
    environment: ClassVar = (
        "Models and judges of the engine vllm run in their own environment. Its file pins the CPU build. With an "
        "NVIDIA driver, `make vllm` installs the GPU build, which brings its own versions of torch, transformers "
        "and other packages."
    )
    no_effect: ClassVar = frozenset({
        "async_scheduling", "cpu_kvcache_gib", "disable_log_stats", "download_dir", "enable_prefix_caching",
        "gpu_memory_utilization", "kv_cache_memory_bytes", "load_format", "log_level", "max_num_batched_tokens",
        "max_num_scheduled_tokens", "max_num_seqs", "max_parallel_loading_workers", "use_tqdm_on_load",
    })  # fmt: skip

    batch_invariant: Flag = False
    cpu_kvcache_gib: AtLeast1 = 1
    template_date: TemplateDate | None = None
    arguments: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_keys(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Our own settings, and vLLM's arguments together."""
        own = ({f.name for f in fields(cls)} - {"arguments"}) & settings.keys()
        arguments = {name: value for name, value in settings.items() if name not in own}
        return {name: settings[name] for name in own} | {"arguments": arguments}

    @property
    def token_probabilities(self) -> bool:
        """vLLM lists them."""
        return True

    @model_validator(mode="after")
    def _what_stands_elsewhere(self) -> VLLMSettings:
        for name in ELSEWHERE.keys() & self.arguments.keys():
            require(False, name, self.arguments[name], f"nothing here; its place: {ELSEWHERE[name]}")
        return self
