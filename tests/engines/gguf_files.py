"""GGUF files of small untrained models, written block by block as llama.cpp would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
TEMPLATE = TURNS + "{% if add_generation_prompt %}<assistant>{% endif %}"
HIDDEN, INNER, HEADS, KEY_HEADS, LAYERS, CONTEXT = 64, 96, 4, 2, 2, 512
# Two names of every tensor of a layer: GGUF's and that of a model in transformers.
LAYER = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip


def letters() -> list[str]:
    """The byte-level alphabet."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def write_gguf(
    path: Path, architecture: str = "llama", kind: str = "Q4_1", tied: bool = True, without: Sequence[str] = ()
) -> None:
    """Write a model of 2 layers whose matrices are blocks of `kind`; `without` leaves tensors out."""
    import gguf

    tokens = ["<pad>", "<end>", *letters(), "th"]
    writer: Any = gguf.GGUFWriter(path, architecture)
    writer.add_name("untrained")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, *[1] * (len(tokens) - 2)])
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    for name, weights in tensors(len(tokens), tied, biased=architecture == "qwen2").items():
        if name in without:
            continue
        if weights.ndim == 1:
            writer.add_tensor(name, weights)
        else:
            dtype = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(name, gguf.quants.quantize(weights, dtype), raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(vocabulary: int, tied: bool, biased: bool) -> dict[str, np.ndarray]:
    """Random weights by their names in a GGUF file."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> np.ndarray:
        return (0.2 * torch.randn(shape, generator=generator)).numpy()

    keys = HIDDEN // HEADS * KEY_HEADS
    shapes = {
        "attn_q": (HIDDEN, HIDDEN), "attn_k": (keys, HIDDEN), "attn_v": (keys, HIDDEN), "attn_output": (HIDDEN, HIDDEN),
        "ffn_gate": (INNER, HIDDEN), "ffn_up": (INNER, HIDDEN), "ffn_down": (HIDDEN, INNER),
    }  # fmt: skip
    found = {"token_embd.weight": drawn(vocabulary, HIDDEN), "output_norm.weight": 1 + drawn(HIDDEN)}
    if not tied:
        found["output.weight"] = drawn(vocabulary, HIDDEN)
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            found[f"blk.{layer}.{name}.weight"] = drawn(*shape)
            if biased and name in ("attn_q", "attn_k", "attn_v"):
                found[f"blk.{layer}.{name}.bias"] = drawn(shape[0])
        for name in ("attn_norm", "ffn_norm"):
            found[f"blk.{layer}.{name}.weight"] = 1 + drawn(HIDDEN)
    return found
