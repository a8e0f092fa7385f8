"""How the store's key names a model's weights: a hash of its files, or its id and commit on the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.engines import ModelParams
from refusal_stability.plain_text import visible_line

MOST_LAYERS = 10_000
WEIGHT_PATTERNS = ("*.json", "*.safetensors", "*.bin", "*.jinja", "*.model", "*.txt")


def weights_identity(model: ModelParams, where: str) -> dict[str, str]:
    """`sha256` of a folder's weights, configuration and tokenizer; or `id` and the commit that its revision names.

    Raises
    ------
    EngineError
        The path is neither a folder nor a Hugging Face id, or the id cannot be resolved.
    """
    folder = Path(model.path)
    if folder.is_dir():
        return {"sha256": folder_digest(folder)}
    if model.path.count("/") != 1 or model.path.startswith((".", "/")):
        raise EngineError(
            f"{where}.path: {model.path!r}: no such folder, and not a Hugging Face id (owner/name) either; train or "
            "download the model first, or correct the path"
        )
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            model.path, revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    except MemoryError:
        raise
    except Exception as error:
        raise EngineError(
            f"{where}.path: {model.path!r}: cannot be loaded: {why_not_loaded(model.path, error)}"
        ) from error
    return {"id": model.path, "revision": getattr(config, "_commit_hash", None) or model.revision or "main"}


def why_not_loaded(path: str, error: Exception) -> str:
    """The first line of what a library said of a model that it could not load, with what to do.

    Parameters
    ----------
    path : the model's folder, or its Hugging Face id.
    error : whatever was raised.
    """
    said = visible_line((str(error).strip() or type(error).__name__).splitlines()[0])
    if not isinstance(error, OSError | ValueError):
        said = f"{type(error).__name__}: {said}"
    if Path(path).is_dir():
        return f"{said} - a file of the model is damaged, missing or of another model: fetch or save the model again"
    return f"{said} - check the path or id, its revision, access rights (HF_TOKEN) and the network"


def with_padding(tokenizer: Any, path: str) -> Any:
    """A tokenizer with a token to pad with: many instruct models ship without one.

    Parameters
    ----------
    tokenizer : of transformers.
    path : the model's folder, or its Hugging Face id.

    Raises
    ------
    EngineError
        It has no end token either.
    """
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise EngineError(
                f"{path}: the tokenizer has neither a padding nor an end token; set one and save it "
                "(`tokenizer.pad_token = ...`)"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def token_ids(path: str, said: Any) -> list[int]:
    """The numbers of the tokens that end an answer.

    Parameters
    ----------
    path : the model's folder, or its Hugging Face id.
    said : what the generation configuration or the tokenizer names: a number, several, or None.

    Raises
    ------
    EngineError
        One of them is no number.
    """
    try:
        return [int(token) for token in (said if isinstance(said, list) else [said]) if token is not None]
    except (TypeError, ValueError) as error:
        raise EngineError(
            f"models path {path!r}: eos_token_id in its generation_config.json or config.json is no number: fetch the "
            "model again"
        ) from error


@contextmanager
def failures_in_words(path: str, size: str) -> Iterator[None]:
    """Turn whatever a model raises while it computes into an error in words.

    Parameters
    ----------
    path : the model's folder, or its Hugging Face id.
    size : what is computed at once.

    Raises
    ------
    EngineError
        The block failed; a lack of this machine's own memory stays a MemoryError.
    """
    import torch

    try:
        yield
    except (EngineError, MemoryError):
        raise
    except torch.cuda.OutOfMemoryError as error:
        raise EngineError(
            f"{path}: out of GPU memory with {size}; lower settings.batch_size or sampling.max_tokens"
        ) from error
    except Exception as error:
        # What a damaged configuration makes of itself is seen when the model first computes.
        raise EngineError(f"models path {path!r}: fails while it answers: {why_not_loaded(path, error)}") from error


def check_depth(path: str, layers: Any) -> None:
    """Refuse a model with so many layers that making them, before any weight is read, would not end.

    Parameters
    ----------
    path : the model's folder, or its Hugging Face id.
    layers : what its configuration names.

    Raises
    ------
    EngineError
        There are too many, or fewer than one.
    """
    if isinstance(layers, int) and not 0 < layers <= MOST_LAYERS:
        raise EngineError(
            f"models path {path!r}: its config.json names {layers} layers; it is damaged or another model's: fetch the "
            "model again"
        )


def check_all_found(path: str, missing: Collection[str]) -> None:
    """Refuse a model some of whose weights are in no file: transformers would draw them at random.

    Parameters
    ----------
    path : the model's folder, or its Hugging Face id.
    missing : the names of those weights.

    Raises
    ------
    EngineError
        There is one.
    """
    if missing:
        raise EngineError(
            f"{path}: {len(missing)} of the model's weights are in none of its files (first: {min(missing)}); its "
            "config.json is another model's, or a file is missing: fetch the model again"
        )


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names, sizes and bytes of a model folder's files.

    Raises
    ------
    EngineError
        One of them is no regular file: a pipe or a device has no end.
    """
    digest = hashlib.sha256()
    for file in sorted({f for pattern in WEIGHT_PATTERNS for f in folder.glob(pattern)}):
        if not file.is_file():
            raise EngineError(
                f"models path {str(folder)!r}: {file.name} is no regular file, or a link to nothing: fetch the model "
                "again"
            )
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def usable_device(wanted: str) -> str:
    """The device that `settings.device` names; `auto` takes CUDA where there is one.

    Parameters
    ----------
    wanted : `auto`, or a device as PyTorch names it.
    """
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(
            f"settings.device: {wanted!r} is not usable here: {str(error).splitlines()[0]}; use cpu or auto"
        ) from error
    return wanted
