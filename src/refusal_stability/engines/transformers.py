"""The transformers engine: one model load for the whole grid, rows of any temperature and seed in one batch.

Every row draws from a stream of its own (`Sampling.stream`), one uniform number a token, so that a response does not
depend on which rows share its batch - up to float noise, which docs/engines.md measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.engines.gguf import unpacked_model
from refusal_stability.engines.listed_tokens import ListingSampler, LocalTokens, kept_shares
from refusal_stability.engines.packed_linear import pack_linear_layers
from refusal_stability.engines.prefix import Prompts, spare_memory
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.rendering import ChatTemplate, TemplateRejection, unasked
from refusal_stability.engines.row_sampler import RowSampler
from refusal_stability.engines.thinking_marks import with_marks
from refusal_stability.engines.thinking_tokens import decoded, marking_tokens, opened_thinking
from refusal_stability.engines.weights import (
    check_all_found,
    check_depth,
    failures_in_words,
    folder_digest,
    token_ids,
    usable_device,
    why_not_loaded,
    with_padding,
)
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.transformers import TransformersSettings
from refusal_stability.readout import Readout
from refusal_stability.records import Completion, Message, Request, canonical_json

# A prompt is computed once for all its rows, so a wide column of padding costs little, and one width suits most grids.
WIDTH_STEP = 64
ROW_STEP = 16
# Raised whenever batching, the shared prompts, the kernels or the sampler change: what the store then holds is another
# layout's.
LAYOUT = 3


class TransformersEngine:
    """Complete requests with a Hugging Face causal language model on CPU or CUDA.

    Parameters
    ----------
    model : `path` is a folder, a GGUF file or a Hugging Face id, `revision` a commit or tag of the latter.
    settings : dtype, device, and the number of rows in a batch.

    Raises
    ------
    EngineError
        There is no such model, it has no chat template, or the device is absent.

    Notes
    -----
    Weights load on the first request that the store lacks; a study that is complete never loads them.
    Batches have one shape (`batch_size` rows, prompts padded to a multiple of 64 tokens), so that float noise does not
    depend on which rows are left to do; the batch size and `LAYOUT` are part of the engine's identity, and so are
    PyTorch's version and the device wherever rows are not exact. In float32 on a CPU a row's
    numbers do not depend on the number of rows, so there a smaller last batch is filled up to a multiple of 16 only.
    A batch's distinct prompts are computed once each, eight at a time, and their keys and values handed to all rows
    that ask them.
    """

    def __init__(self, model: ModelParams, settings: TransformersSettings) -> None:
        self._params = model
        self._settings = settings
        self._model: Any = None
        self._prompts: Any = None
        self._keeps_prompts = False
        self._grammars: dict[str, Any] = {}
        self._left = 0
        # A GGUF file names no dtype of its own; 32-bit floats lose nothing of what its blocks hold.
        unpacked_dtype = "float32" if settings.dtype == "auto" else settings.dtype
        self._unpacked = unpacked_model(model, unpacked_dtype) if model.is_file else None
        self._config = self._from_pretrained("AutoConfig")
        self._tokenizer = with_padding(self._from_pretrained("AutoTokenizer", padding_side="left"), self._params.path)
        self.fold_system = settings.fold_system
        self.thinking_marks = with_marks(settings.thinking_marks)
        self._marking = marking_tokens(self._tokenizer, self.thinking_marks)
        self.token_probabilities = settings.token_probabilities
        self._device = usable_device(settings.device)
        dtype = self._dtype_name()
        self.identity: dict[str, Any] = {"engine": "transformers", "model": self._weights_identity(), "dtype": dtype}
        self._template = ChatTemplate(self._tokenizer, settings, self._params.path)
        self.identity |= {"batch_size": settings.batch_size, "layout": LAYOUT} | self._template.identity
        self.description = self._describe()
        if not self._is_exact():
            self.identity |= {name: self.description[name] for name in ("device", "torch_version")}

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield each request's completion as its batch finishes; see `Engine.complete`."""
        if not requests:
            return
        self._template.warn_of_date()
        prompts: dict[int, list[int]] = {}
        groups: dict[str, list[int]] = {}
        for position, (request, prompt) in enumerate(zip(requests, self._tokenize(requests), strict=True)):
            if isinstance(prompt, Completion):
                yield position, prompt
                continue
            prompts[position] = prompt
            sampling = request.sampling
            width = self._width(len(prompts[position]))
            alike = [request.schema_text(), sampling.top_p, sampling.top_k, sampling.max_tokens, width]
            alike += [request.readout is not None]
            groups.setdefault(canonical_json(alike), []).append(position)
        self._load()
        for positions in groups.values():
            for start in range(0, len(positions), self._settings.batch_size):
                batch = positions[start : start + self._settings.batch_size]
                completions = self._complete_batch(requests, prompts, batch)
                for done, position in enumerate(batch):
                    self._left = len(batch) - 1 - done
                    yield position, completions[done]

    def ready(self) -> int:
        """How many completions of the finished batch are still to be yielded."""
        return self._left

    def keep_prompts(self) -> None:
        """Keep what is computed of prompts between calls, as far as memory is free; see `Engine`."""
        self._keeps_prompts = True

    def close(self) -> None:
        """Release the model's memory."""
        self._model = self._prompts = None
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()

    def _complete_batch(
        self, requests: Sequence[Request], prompts: Mapping[int, list[int]], batch: Sequence[int]
    ) -> list[Completion]:
        import torch

        first = requests[batch[0]]
        width = self._width(len(prompts[batch[0]]))
        length = min(first.sampling.max_tokens, self._context() - width)
        # Every batch has the same shape, its last row repeated where rows lack: a sum is split by the shape of its
        # batch, so a row's text would otherwise depend on how many rows a killed run had left over.
        filled = [*batch, *[batch[-1]] * (self._rows(len(batch)) - len(batch))]
        inputs = self._padded([prompts[p] for p in filled], width)
        config = self._generation_config(
            do_sample=False, max_new_tokens=length, eos_token_id=self._stop_ids(), pad_token_id=self._pad_id()
        )
        sampler: Any = RowSampler([requests[p].sampling for p in filled], width, length, self._device)
        sampler = sampler if first.readout is None else ListingSampler(sampler)
        size = f"{len(batch)} rows of {width} + {length} tokens"
        with torch.inference_mode(), failures_in_words(self._params.path, size):
            prefix = self._prefix([prompts[p] for p in filled], width, length)
            output = self._model.generate(
                **inputs, **prefix, generation_config=config, logits_processor=self._processors(first, sampler)
            )
        return [
            self._read_row(tokens, len(prompts[p]), requests[p].readout, sampler, row)
            for row, (tokens, p) in enumerate(zip(output[: len(batch), width:].tolist(), batch, strict=True))
        ]

    def _padded(self, prompts: Sequence[list[int]], width: int) -> Any:
        padded = self._tokenizer.pad(
            {"input_ids": list(prompts)}, padding="max_length", max_length=width, return_tensors="pt"
        )
        return padded.to(self._device)

    def _prefix(self, rows: Sequence[list[int]], width: int, length: int) -> dict[str, Any]:
        """What `generate` needs to go on from prompts that were computed once for all their rows."""
        prefix = self._prompts.prefix(rows, width, length)
        return {} if prefix is None else {"past_key_values": prefix}

    def _processors(self, first: Request, sampler: Any) -> list[Any]:
        from transformers import LogitsProcessorList

        processors = LogitsProcessorList()
        schema = first.schema_text()
        if schema is not None:
            from xgrammar.contrib.hf import LogitsProcessor

            processors.append(LogitsProcessor(self._grammar(schema)))
        processors.append(sampler)
        return processors

    def _read_row(
        self, tokens: list[int], prompt_tokens: int, readout: Readout | None, sampler: Any, row: int
    ) -> Completion:
        stops = set(self._stop_ids())
        end = next((i for i, token in enumerate(tokens) if token in stops), None)
        kept = tokens if end is None else tokens[:end]
        text, finish = self._decoded(kept), "length" if end is None else "stop"
        made = len(tokens) if end is None else end + 1
        listed = None if readout is None else LocalTokens(self._decoded, kept, sampler.numbers(row))
        details = kept_shares(listed, text, finish, readout, self.thinking_marks)
        return Completion(text, finish, prompt_tokens, made, details=details)

    def _decoded(self, tokens: Sequence[int]) -> str:
        return decoded(self._tokenizer, tokens, self._marking)

    def rendered(self, messages: Sequence[Message]) -> str:
        """The text that the model reads for a conversation."""
        return self._template.render(messages)

    def opened_thinking(self, messages: Sequence[Message]) -> str:
        """The mark of thinking that a conversation's prompt leaves open; see `Engine`."""
        return opened_thinking(self._template, messages, self.thinking_marks)

    def _tokenize(self, requests: Sequence[Request]) -> list[list[int] | Completion]:
        """Each prompt's tokens, or what stands for its answer."""
        # A grid asks each conversation many times: tokenise it once.
        seen: dict[Any, list[int] | Completion] = {}
        for request in requests:
            if request.messages not in seen:
                seen[request.messages] = self._prompt(request)
        return [seen[request.messages] for request in requests]

    def _prompt(self, request: Request) -> list[int] | Completion:
        try:
            tokens = self._tokenize_chat(request)
        except TemplateRejection as error:
            return unasked(str(error))
        if not tokens:
            return unasked("the chat template writes nothing for it; correct the template, or use another model")
        if len(tokens) >= self._context():
            reason = f"prompt of {len(tokens)} tokens fills the model's context of {self._context()}"
            return unasked(reason, len(tokens))
        return tokens

    def _tokenize_chat(self, request: Request) -> list[int]:
        tokens: list[int] = self._tokenizer(self.rendered(request.messages), add_special_tokens=False)["input_ids"]
        return tokens

    def _grammar(self, schema: str) -> Any:
        import xgrammar

        if schema not in self._grammars:
            tokenizer = xgrammar.TokenizerInfo.from_huggingface(
                self._tokenizer, vocab_size=self._config.get_text_config().vocab_size, stop_token_ids=self._stop_ids()
            )
            # No free whitespace: a small model would pad with it until the limit.
            self._grammars[schema] = xgrammar.GrammarCompiler(tokenizer).compile_json_schema(
                schema, any_whitespace=False
            )
        return self._grammars[schema]

    def _load(self) -> None:
        if self._model is not None:
            return
        import torch

        if not isinstance(dtype := getattr(torch, self._dtype_name(), None), torch.dtype):
            raise EngineError(f"{self._params.path}: its config.json names no dtype of PyTorch; set settings.dtype")
        check_depth(self._params.path, getattr(self._config.get_text_config(), "num_hidden_layers", None))
        model, found = self._from_pretrained("AutoModelForCausalLM", dtype=dtype, output_loading_info=True)
        check_all_found(self._params.path, found["missing_keys"])
        self._model = model.to(self._device).eval()
        if self._is_exact():
            pack_linear_layers(self._model, self._settings.batch_size)
        room = spare_memory(self._device) if self._keeps_prompts else 0
        self._prompts = Prompts(self._model, self._padded, self._is_exact(), room)
        # Published generation configs carry temperatures and penalties of their own; a study's sampling is its own.
        self._stops = token_ids(self._params.path, self._model.generation_config.eos_token_id)
        self._model.generation_config = self._generation_config()

    def _generation_config(self, **values: Any) -> Any:
        import transformers

        kind: Any = transformers.GenerationConfig
        return kind(**values)

    def _from_pretrained(self, kind: str, **options: Any) -> Any:
        import transformers

        logging: Any = transformers.logging
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        path = self._params.path
        if self._unpacked is not None:
            path, options = str(self._unpacked.folder), options | {"local_files_only": True}
        if not Path(path).is_dir() and path.count("/") != 1:
            raise EngineError(
                f"models path {path!r}: no such folder, and not a Hugging Face id (owner/name) either; train or "
                "download the model first, or correct the path"
            )
        try:
            return getattr(transformers, kind).from_pretrained(
                path, revision=self._params.revision, trust_remote_code=self._params.trust_remote_code, **options
            )
        except MemoryError:
            raise
        except Exception as error:
            # Broken files raise whatever they meet first, in transformers and in what it calls.
            raise EngineError(f"models path {path!r}: cannot be loaded: {why_not_loaded(path, error)}") from error

    def _dtype_name(self) -> str:
        if self._settings.dtype != "auto":
            return self._settings.dtype
        return str(getattr(self._config, "dtype", None) or "float32").removeprefix("torch.")

    def _width(self, prompt_tokens: int) -> int:
        return min(-(-prompt_tokens // WIDTH_STEP) * WIDTH_STEP, self._context() - 1)

    def _rows(self, count: int) -> int:
        """How many rows a batch of `count` is computed with."""
        if not self._is_exact():
            return self._settings.batch_size
        return min(self._settings.batch_size, -(-count // ROW_STEP) * ROW_STEP)

    def _is_exact(self) -> bool:
        """Whether a row's numbers were found to be the same bits whatever the number of rows."""
        return self._device == "cpu" and self._dtype_name() == "float32"

    def _context(self) -> int:
        return int(getattr(self._config.get_text_config(), "max_position_embeddings", None) or 2**31)

    def _stop_ids(self) -> list[int]:
        return sorted({*self._stops, *token_ids(self._params.path, self._tokenizer.eos_token_id)})

    def _pad_id(self) -> int:
        return int(self._tokenizer.pad_token_id)

    def _weights_identity(self) -> dict[str, str]:
        if self._unpacked is not None:
            return {"sha256": self._unpacked.sha256}
        folder = Path(self._params.path)
        if not folder.is_dir():
            revision = getattr(self._config, "_commit_hash", None) or self._params.revision or "main"
            return {"id": self._params.path, "revision": revision}
        return {"sha256": folder_digest(folder)}

    def _describe(self) -> dict[str, str]:
        import torch
        import transformers

        name = torch.cuda.get_device_name(self._device) if self._device.startswith("cuda") else "cpu"
        return {
            "engine": "transformers",
            "engine_version": transformers.__version__,
            "torch_version": torch.__version__,
            "device": name,
            "dtype": self._dtype_name(),
            "batch_size": str(self._settings.batch_size),
        }
