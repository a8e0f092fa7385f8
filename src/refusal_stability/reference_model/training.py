"""Train one reference model from scratch on CPU: a tokenizer, a small Llama, and one pass over the corpus.

Two runs on one machine give the same bytes. Seeds, the number of threads and the order of the corpus are fixed, and
PyTorch uses deterministic algorithms only.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from refusal_stability.files import write_json
from refusal_stability.params.reference_models import ReferenceModelParams
from refusal_stability.records import Message, Prompt, content_hash
from refusal_stability.reference_model.corpus import Conversation, chat_blocks, judge_blocks
from refusal_stability.reference_model.planted import PLANTED_FILE, planted_table
from refusal_stability.reference_model.tokenizer import train_tokenizer

# The number of threads decides how sums are split, and so the result: it is fixed here, whatever the machine has.
THREADS = 2
CONTEXT = 1024
# With 0.06 in place of the usual 0.02, a model this narrow needs half the steps.
INITIAL_SPREAD = 0.06
WARM_UP = 0.05
POOL = 8
IGNORED = -100
RECORD_FILE = "training_record.json"

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Example:
    """A conversation as tokens. Only the reply, which starts at `start`, counts in the loss."""

    tokens: list[int]
    start: int


def train_reference_model(
    params: ReferenceModelParams, prompts: Sequence[Prompt], folder: Path, on_step: OnStep
) -> None:
    """Train a model and save it into an empty folder in Hugging Face format.

    `on_step` is called with (steps done, all steps) after each step.
    """
    from transformers.utils import logging

    quiet: Any = logging.disable_progress_bar
    blocks = list(training_blocks(params, prompts))
    texts = [text for block in blocks for c in block for text in (*(m.content for m in c.messages), c.reply)]
    tokenizer = train_tokenizer(texts, params.vocabulary, CONTEXT)
    encoded = [encode(tokenizer, block) for block in blocks]
    batches = [batch for block in batched(encoded, params.batch_size, params.seed) for batch in block]
    with reproducible(params.seed):
        model = new_model(params, tokenizer)
        quiet()
        losses = fit(model, batches, params.learning_rate, tokenizer.pad_token_id, on_step)
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if params.task == "chat":
        planted_table(prompts, params.profile).to_csv(folder / PLANTED_FILE, index=False, lineterminator="\n")
    last = losses[-max(1, len(losses) // 10) :]
    record = {
        "parameters": asdict(params),
        "weights": sum(p.numel() for p in model.parameters()),
        "conversations": sum(map(len, encoded)),
        "tokens": sum(len(e.tokens) for block in encoded for e in block),
        "learnt_tokens": sum(len(e.tokens) - e.start for block in encoded for e in block),
        "steps": len(batches),
        "threads": THREADS,
        "final_loss": round(sum(last) / len(last), 4),
        "corpus_sha256": content_hash(texts),
    }
    write_json(record, folder / RECORD_FILE)


def training_blocks(params: ReferenceModelParams, prompts: Sequence[Prompt]) -> Iterator[list[Conversation]]:
    """The conversations that a model is trained on, in blocks; `params.task` says which kind."""
    if params.task == "judge":
        return judge_blocks(prompts, params.samples_per_prompt, params.seed)
    return chat_blocks(prompts, params.profile, params.samples_per_prompt, params.seed)


def encode(tokenizer: Any, conversations: Sequence[Conversation]) -> list[Example]:
    """Each conversation in the model's chat template, followed by the end token."""
    before = [_rendered(tokenizer, c.messages) for c in conversations]
    starts = tokenizer(before, add_special_tokens=False)["input_ids"]
    replies = tokenizer([c.reply for c in conversations], add_special_tokens=False)["input_ids"]
    return [
        Example([*start, *reply, tokenizer.eos_token_id], len(start))
        for start, reply in zip(starts, replies, strict=True)
    ]


def _rendered(tokenizer: Any, messages: Sequence[Message]) -> str:
    chat = [{"role": m.role, "content": m.content} for m in messages]
    text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return text


def batched(blocks: Sequence[list[Example]], size: int, seed: int) -> Iterator[list[list[Example]]]:
    """Each block's batches. They are sorted by length within pools of a few batches, to keep padding low."""
    rng = random.Random(seed)
    for block in blocks:
        batches = []
        for start in range(0, len(block), POOL * size):
            pool = sorted(block[start : start + POOL * size], key=lambda e: len(e.tokens))
            batches += [pool[i : i + size] for i in range(0, len(pool), size)]
        rng.shuffle(batches)
        yield batches


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seeded, deterministic PyTorch on a fixed number of threads; earlier settings are restored afterwards."""
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(THREADS)
        torch.use_deterministic_algorithms(True)
        # Filling memory before use costs a tenth of the time, and nothing here reads memory that was not written.
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            memory.fill_uninitialized_memory = fill


def new_model(params: ReferenceModelParams, tokenizer: Any) -> Any:
    """An untrained Llama of the given shape in 32-bit floats."""
    from transformers import LlamaConfig, LlamaForCausalLM

    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = LlamaConfig(
        vocab_size=params.vocabulary,
        hidden_size=params.hidden_size,
        intermediate_size=2 * params.hidden_size,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        num_key_value_heads=params.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=INITIAL_SPREAD,
        dtype="float32",
        **ids,
    )
    return LlamaForCausalLM(config).train()


def fit(model: Any, batches: Sequence[list[Example]], learning_rate: float, pad: int, on_step: OnStep) -> list[float]:
    """One pass of AdamW over the batches with warm-up and cosine decay; returns the loss of each step."""
    import torch
    from torch.nn.functional import cross_entropy

    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, len(batches)))
    losses = []
    for step, batch in enumerate(batches):
        tokens, targets = tensors(batch, pad)
        learnt = targets != IGNORED
        hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
        loss: Any = cross_entropy(model.lm_head(hidden[learnt]), targets[learnt])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(loss.item())
        on_step(step + 1, len(batches))
    return losses


def rate_factor(step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step."""
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def tensors(batch: Sequence[Example], pad: int) -> tuple[Any, Any]:
    """Input tokens, and targets shifted by one. Padding is on the right, which causal attention does not see."""
    import torch

    width = max(len(e.tokens) for e in batch) - 1
    inputs, targets = [], []
    for example in batch:
        rest = [pad] * (width + 1 - len(example.tokens))
        inputs.append(example.tokens[:-1] + rest)
        shown = [IGNORED] * (example.start - 1) + example.tokens[example.start :]
        targets.append(shown + [IGNORED] * len(rest))
    return torch.tensor(inputs), torch.tensor(targets)
