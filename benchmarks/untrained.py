"""Untrained chat models of a wanted size: for speed it does not matter what a model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refusal_stability.params.engines import ModelParams
from refusal_stability.params.study import InterventionParams, SamplingParams, StudyParams
from refusal_stability.prompts.sources.builtin import builtin_prompts
from refusal_stability.records import Request

MAX_TOKENS = 64
CONTEXT = 512
# hidden size, layers, heads, inner size: 4.0 and 100 million parameters with a vocabulary of about 1,500.
SHAPES = {"4M": (256, 4, 4, 832), "100M": (768, 12, 12, 2560), "tiny": (64, 2, 2, 128)}


def save_model(folder: Path, shape: str) -> int:
    """Write an untrained Llama with a tokenizer of the built-in prompts; returns its number of parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from refusal_stability.reference_model.tokenizer import train_tokenizer

    tokenizer: Any = train_tokenizer([p.text for p in builtin_prompts()], 1536, CONTEXT)
    hidden, layers, heads, inner = SHAPES[shape]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def grid(prompts: int, max_tokens: int = MAX_TOKENS) -> list[Request]:
    """The study's requests for the first built-in prompts: 4 temperatures x 5 seeds each."""
    study = StudyParams("grid", interventions={"none": InterventionParams()}, models={"m": ModelParams(path="m")})
    study.sampling = SamplingParams(max_tokens=max_tokens)
    return [request for _, request in study.requests("m", builtin_prompts()[:prompts])]
