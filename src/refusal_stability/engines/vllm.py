"""The vLLM engine: one load a model, the whole grid as one continuous batch, completions handed over as they finish."""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.engines.gguf import gguf_digest, unpacked_folder
from refusal_stability.engines.listed_tokens import ALTERNATIVES, LocalTokens, kept_shares, numbers_of
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.rendering import ChatTemplate, TemplateRejection, load_tokenizer, unasked
from refusal_stability.engines.thinking_marks import with_marks
from refusal_stability.engines.thinking_tokens import decoded, marking_tokens, opened_thinking
from refusal_stability.engines.weights import weights_identity
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.vllm import VLLMSettings
from refusal_stability.readout import Readout
from refusal_stability.records import Completion, Message, OtherEnvironment, Request

ENVIRONMENT = Path(".venv-vllm")
# Arguments of vLLM that change speed, memory or logs but no probability: they are no part of the store's key.
HARMLESS_ARGUMENTS = (
    "gpu_memory_utilization",
    "kv_cache_memory_bytes",
    "enable_prefix_caching",
    "download_dir",
    "load_format",
    "use_tqdm_on_load",
    "max_parallel_loading_workers",
    "disable_log_stats",
    "log_level",
)
# In float32 (and where batches are invariant) these shift which rows share a batch and nothing else.
BATCH_ARGUMENTS = ("max_num_seqs", "max_num_batched_tokens", "max_num_scheduled_tokens", "async_scheduling")
# Requests handed to vLLM ahead of the answers: enough to keep every batch full, without holding a whole grid twice.
AHEAD = 1024


class VLLMEngine:
    """Complete requests with vLLM, offline, in this process.

    Parameters
    ----------
    model : `path` is a folder or a Hugging Face id, `revision` a commit or tag of the latter.
    settings : `batch_invariant`, `cpu_kvcache_gib`, and any argument of vLLM's `EngineArgs` by its own name.
    where : the model's key in params.yaml, for error messages.

    Raises
    ------
    EngineError
        There is no such model, vLLM is not installed, an argument is unknown to vLLM, batch invariance is asked of a
        device that lacks it, or memory runs out (the message says what to lower).

    Notes
    -----
    The model loads on the first request that the store lacks. Each request carries its own temperature and its own
    stream as `seed`. vLLM's core runs inside this process unless several GPUs share the model, so a kill leaves no
    process behind that holds the GPU's memory.
    """

    def __init__(self, model: ModelParams, settings: VLLMSettings, where: str = "model") -> None:
        self._where = where
        self._model = model
        self._settings = settings
        self._llm: Any = None
        self._device = _device()
        if model.path.lower().endswith(".gguf"):
            folder = unpacked_folder(gguf_digest(Path(model.path)), "float32")
            raise EngineError(
                f"{where}.path: {model.path!r}: the engine vllm takes no GGUF file; open it once with engine "
                f"transformers and dtype float32, which unpacks it into {folder}, then set path to that folder"
            )
        if settings.batch_invariant and self._device == "cpu":
            raise EngineError(
                f"{where}.settings.batch_invariant: needs an NVIDIA GPU of compute capability 8.0 or more, and this "
                "is a CPU; set it to false (float32 on CPU was seen not to depend on the batch)"
            )
        self._arguments = dict(settings.arguments)
        # A CPU has no fast half precision, and in bfloat16 a text depends on its batch even at temperature 0.
        self._arguments.setdefault("dtype", "float32" if self._device == "cpu" else "auto")
        exact = settings.batch_invariant or self._arguments["dtype"] in ("float32", "float")
        apart = (*HARMLESS_ARGUMENTS, *(BATCH_ARGUMENTS if exact else ()))
        self.identity: Mapping[str, Any] = {
            "engine": "vllm",
            "model": weights_identity(model, where),
            "arguments": {name: value for name, value in self._arguments.items() if name not in apart},
            "batch_invariant": settings.batch_invariant,
            "device": self._device,
        }
        tokenizer = load_tokenizer(model, self._arguments.get("tokenizer"), where)
        self._template = ChatTemplate(tokenizer, settings, f"{where}.path: {model.path!r}")
        self.identity = {**self.identity, **self._template.identity}
        self.fold_system = settings.fold_system
        self.thinking_marks = with_marks(settings.thinking_marks)
        self.token_probabilities = settings.token_probabilities
        self.description: Mapping[str, Any] = self._describe()

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield each request's completion in the step that finishes it; see `Engine.complete`."""
        if not requests:
            return
        self._template.warn_of_date()
        engine = self._load().llm_engine
        todo = iter(enumerate(requests))
        prompts: dict[tuple[Message, ...], Any] = {}
        under_way: dict[str, tuple[int, str]] = {}
        try:
            more = True
            while more or under_way:
                while more and len(under_way) < AHEAD:
                    position, request = next(todo, (-1, None))
                    more = request is not None
                    if request is None:
                        break
                    if request.messages not in prompts:
                        prompts[request.messages] = self._prompt(request.messages)
                    prompt = prompts[request.messages]
                    if isinstance(prompt, Completion):
                        yield position, prompt
                        continue
                    # vLLM answers under the name that it was given; to cancel, it wants the one that it gave.
                    name = str(position)
                    under_way[name] = (position, self._add(name, prompt, request))
                for output in self._step() if under_way else ():
                    if output.finished:
                        position, _ = under_way.pop(output.request_id)
                        yield position, self._completion(output, requests[position].readout)
        finally:
            if under_way:
                engine.abort_request([name for _, name in under_way.values()], internal=True)

    def close(self) -> None:
        """Release the model's memory."""
        if self._llm is None:
            return
        self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        if self._device != "cpu":
            import torch

            torch.cuda.empty_cache()

    def _add(self, name: str, prompt: Mapping[str, Any], request: Request) -> str:
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        sampling = request.sampling
        structured = None
        if request.schema is not None:
            structured = StructuredOutputsParams(json=request.schema_text())
        params = SamplingParams(
            temperature=sampling.temperature,
            seed=sampling.stream,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=min(sampling.max_tokens, self._context - len(prompt["prompt_token_ids"])),
            structured_outputs=structured,
            logprobs=None if request.readout is None else ALTERNATIVES,
            output_kind=RequestOutputKind.FINAL_ONLY,
            # Made for this request alone: vLLM need not copy it.
            skip_clone=True,
        )
        added: str = self._llm.llm_engine.add_request(name, dict(prompt), params)
        return added

    def _step(self) -> Sequence[Any]:
        try:
            outputs: Sequence[Any] = self._llm.llm_engine.step()
        except (RuntimeError, ValueError) as error:
            raise self._failed("stopped", error) from error
        return outputs

    def rendered(self, messages: Sequence[Message]) -> str:
        """The text that the model reads for a conversation."""
        return self._template.render(messages)

    def opened_thinking(self, messages: Sequence[Message]) -> str:
        """The mark of thinking that a conversation's prompt leaves open; see `Engine`."""
        return opened_thinking(self._template, messages, self.thinking_marks)

    def _prompt(self, messages: Sequence[Message]) -> Mapping[str, Any] | Completion:
        """A conversation as vLLM takes it, or what stands for its answer."""
        try:
            text = self.rendered(messages)
        except TemplateRejection as error:
            return unasked(str(error))
        tokens: list[int] = self._llm.get_tokenizer().encode(text, add_special_tokens=False)
        if len(tokens) >= self._context:
            reason = f"prompt of {len(tokens)} tokens fills the model's context of {self._context}"
            return unasked(reason, len(tokens))
        prompt: Mapping[str, Any] = self._llm.renderer.render_cmpl([{"prompt_token_ids": tokens}])[0]
        return prompt

    def _load(self) -> Any:
        if self._llm is not None:
            return self._llm
        self.require_environment()
        self._set_environment()
        from vllm import LLM
        from vllm.engine.arg_utils import EngineArgs

        known = [name for name in EngineArgs.__dataclass_fields__ if not name.startswith("_")]
        for name in self._arguments:
            if name not in known:
                near = ", ".join(difflib.get_close_matches(name, known)) or "see vLLM's documentation of EngineArgs"
                raise EngineError(f"{self._where}.settings.{name}: not an argument of vLLM's engine; near: {near}")
        try:
            self._llm = LLM(
                model=self._model.path,
                revision=self._model.revision,
                trust_remote_code=self._model.trust_remote_code,
                **self._engine_arguments(),
            )
        except (RuntimeError, ValueError, OSError, TypeError) as error:
            raise self._failed("could not start", error) from error
        self._context = int(self._llm.model_config.max_model_len)
        self._marking = marking_tokens(self._llm.get_tokenizer(), self.thinking_marks)
        return self._llm

    def _engine_arguments(self) -> dict[str, Any]:
        arguments = dict(self._arguments)
        # Free whitespace in JSON is what a small model fills with blanks until its limit.
        structured = {"backend": "xgrammar", "disable_any_whitespace": True}
        arguments["structured_outputs_config"] = structured | arguments.get("structured_outputs_config", {})
        arguments.setdefault("enable_prefix_caching", True)
        arguments.setdefault("use_tqdm_on_load", False)
        return arguments

    def _completion(self, output: Any, readout: Readout | None) -> Completion:
        answer = output.outputs[0]
        prompt_tokens, made = len(output.prompt_token_ids), len(answer.token_ids)
        if answer.finish_reason not in ("stop", "length"):
            reason = f"vLLM ended the request: {answer.finish_reason}"
            return Completion("", "", prompt_tokens, made, missing_reason=reason, details={"passing": True})
        text = answer.text
        # The token that ends the answer is no part of it, even where it is one that marks thinking elsewhere.
        ended = answer.finish_reason == "stop" and not isinstance(answer.stop_reason, str)
        tokens = list(answer.token_ids)[:-1] if ended else answer.token_ids
        if self._marking:
            text = self._decoded(tokens)
        listed = LocalTokens(self._decoded, tokens, numbers_of(answer.logprobs, tokens)) if answer.logprobs else None
        details = kept_shares(listed, text, answer.finish_reason, readout, self.thinking_marks)
        return Completion(text, answer.finish_reason, prompt_tokens, made, details=details)

    def _decoded(self, tokens: Sequence[int]) -> str:
        return decoded(self._llm.get_tokenizer(), tokens, self._marking)

    def require_environment(self) -> None:
        """Raise `OtherEnvironment` where vLLM is installed in its own environment and this is not that."""
        if importlib.util.find_spec("vllm") is not None:
            return
        python = (ENVIRONMENT / "bin" / "python").absolute()
        if python.exists() and Path(sys.prefix).absolute() != ENVIRONMENT.absolute():
            raise OtherEnvironment(python)
        raise EngineError(
            f"{self._where}.engine: vLLM is not installed; `make vllm` puts it into {ENVIRONMENT}, an environment of "
            "its own, which the stage then finds by itself"
        )

    def _set_environment(self) -> None:
        os.environ["VLLM_BATCH_INVARIANT"] = "1" if self._settings.batch_invariant else "0"
        os.environ["VLLM_NO_USAGE_STATS"] = "1"
        os.environ["DO_NOT_TRACK"] = "1"
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        if self._device == "cpu":
            os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(self._settings.cpu_kvcache_gib)
        if all(self._arguments.get(f"{kind}_parallel_size", 1) == 1 for kind in ("tensor", "pipeline")):
            os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"

    def _failed(self, what: str, error: Exception) -> EngineError:
        told = _one_line(error)
        memory = ("memory" in told.lower()) or "kv cache" in told.lower()
        lower = (
            "settings.cpu_kvcache_gib, settings.max_model_len or settings.max_num_seqs"
            if self._device == "cpu"
            else "settings.gpu_memory_utilization (when other programs use the GPU), settings.max_model_len or "
            "settings.max_num_seqs, or raise settings.tensor_parallel_size"
        )
        remedy = (
            f"out of memory: lower {lower}" if memory else "check path, revision and settings (HF_TOKEN for access)"
        )
        return EngineError(f"{self._where}: vLLM {what} with {self._model.path!r}: {told}; {remedy}")

    def _describe(self) -> dict[str, str]:
        import torch

        name = torch.cuda.get_device_name() if self._device != "cpu" else "cpu"
        return {
            "engine": "vllm",
            "engine_version": vllm_version(),
            "torch_version": torch.__version__,
            "device": name,
            "dtype": str(self._arguments["dtype"]),
            "batch_invariant": str(self._settings.batch_invariant).lower(),
            "arguments": json.dumps(self._arguments, sort_keys=True),
        }


def vllm_version() -> str:
    """The version of the installed vLLM, GPU or CPU build; empty where there is none."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "..."
