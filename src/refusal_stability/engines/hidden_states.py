"""What a local model makes of each prompt: its hidden states, as features of a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.engines.gguf import unpacked_model
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.weights import check_all_found, why_not_loaded
from refusal_stability.params.engines import ModelParams
from refusal_stability.progress import progress

THIRDS = 3  # how deep the states lie: after a third of the layers, two thirds, all
MAX_TOKENS = 512

Floats = NDArray[np.float64]


def prompt_states(path: str, prompts: Sequence[str]) -> Floats:
    """Hidden states of a language model that reads each prompt as a user's turn.

    Parameters
    ----------
    path : the model: a folder, a Hugging Face id, or a .gguf file.
    prompts : n texts, at least one. Of each, the last 512 tokens are read. One is read at a time, so that no row
        depends on another.

    Returns
    -------
    (n, 6 * width): after a third, two thirds and all of the layers, the state of the last token and the mean of all.

    Raises
    ------
    EngineError
        The model cannot be loaded.
    """
    import torch

    tokenizer, model = _loaded(path)
    rows = []
    with progress("Reading prompts", len(prompts)) as shown:
        for prompt in prompts:
            ids = torch.tensor([_tokens(tokenizer, prompt)])
            with torch.inference_mode():
                layers = model(ids, output_hidden_states=True).hidden_states[1:]
            depths = [max(len(layers) * third // THIRDS, 1) - 1 for third in range(1, THIRDS + 1)]
            parts = [part for depth in depths for part in (layers[depth][0, -1], layers[depth][0].mean(dim=0))]
            rows.append(torch.cat(parts).double().numpy())
            shown.advance()
    return np.array(rows)


def _tokens(tokenizer: Any, prompt: str) -> list[int]:
    if tokenizer.chat_template:
        turn = [{"role": "user", "content": prompt}]
        rendered = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(rendered, add_special_tokens=False).input_ids
    else:
        ids = tokenizer(prompt).input_ids
    return list(ids[-MAX_TOKENS:])


def _loaded(path: str) -> tuple[Any, Any]:
    """The tokenizer, and the model in 32-bit floats on the CPU."""
    import torch
    import transformers

    params = ModelParams(engine="transformers", path=path)
    folder = str(unpacked_model(params, "float32").folder) if params.is_file else path
    if not Path(folder).is_dir() and path.count("/") != 1:
        raise EngineError(f"--read-by {path!r}: no such model; give a folder, a .gguf file or a Hugging Face id")
    classes: Any = transformers
    try:
        tokenizer = classes.AutoTokenizer.from_pretrained(folder)
        model, report = classes.AutoModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    except MemoryError:
        raise
    except Exception as error:
        raise EngineError(f"--read-by {path!r}: cannot be loaded: {why_not_loaded(folder, error)}") from error
    check_all_found(path, report["missing_keys"])
    return tokenizer, model.eval()
