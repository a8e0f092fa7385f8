"""GGUF files, unpacked once into folders of safetensors that open in a second or two.

transformers takes many seconds to read a GGUF file and refuses to save what it read. A folder is named by the file's
content and the dtype, so moving or renaming the file changes nothing.
"""

from __future__ import annotations

import copy
import importlib.util
import io
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from refusal_stability.engines.protocol import EngineError
from refusal_stability.files import UNPACKED_MODELS, file_sha256, read_json, write_json
from refusal_stability.params.engines import ModelParams

NEEDED = ("gguf", "accelerate")
RECORD = "unpacked.json"
# What transformers and gguf raise on a file that is damaged, or of a kind that they do not know.
UNREADABLE = (OSError, ValueError, LookupError, RuntimeError, TypeError, OverflowError, struct.error)


@dataclass(frozen=True)
class UnpackedModel:
    """A GGUF file's model: the folder to load it from, and the SHA-256 of the file."""

    folder: Path
    sha256: str


def unpacked_model(model: ModelParams, dtype: str) -> UnpackedModel:
    """The model of a GGUF file as a folder of safetensors, which is made on first use.

    Parameters
    ----------
    model : its `path` is the file; its `sha256`, where given, must be the file's.
    dtype : of the weights in the folder, by its name in PyTorch.

    Raises
    ------
    EngineError
        There is no such file, it is not the pinned one, it is damaged, transformers does not know its architecture,
        a package is missing, or the folder cannot be written.
    """
    sha256 = _checked_digest(model)
    folder = unpacked_folder(sha256, dtype)
    record = {"sha256": sha256, "dtype": dtype, "transformers": _transformers().__version__}
    if _is_made(folder, record):
        return UnpackedModel(folder, sha256)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineError(
            f"models path {model.path!r}: reading a GGUF file needs the package {' and '.join(missing)}, which is not "
            "installed; run `make setup`, or `pip install -r requirements.lock`"
        )
    with _alone(folder):
        if not _is_made(folder, record):
            _unpack(Path(model.path), folder, record)
    return UnpackedModel(folder, sha256)


def unpacked_folder(sha256: str, dtype: str) -> Path:
    """Where the GGUF file with that hash is unpacked to."""
    return UNPACKED_MODELS / f"{sha256[:16]}-{dtype}"


def gguf_digest(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises
    ------
    EngineError
        There is no such file, it is no regular file, or it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise EngineError(f"models path {str(path)!r}: is no regular file; correct the path")
    try:
        return file_sha256(path)
    except FileNotFoundError as error:
        raise EngineError(
            f"models path {str(path)!r}: no such file; `make setup` fetches the quickstart's model; download any other "
            "first, or correct the path"
        ) from error
    except OSError as error:
        raise EngineError(f"models path {str(path)!r}: cannot be read: {error.strerror}; correct the path") from error


def _checked_digest(model: ModelParams) -> str:
    found = gguf_digest(Path(model.path))
    if model.sha256 not in (None, found):
        raise EngineError(
            f"models path {model.path!r}: its SHA-256 is {found}, and the study pins {model.sha256}; fetch the file "
            "again (the quickstart's: delete it and run `make setup`), or correct the model's sha256"
        )
    return found


def _is_made(folder: Path, record: dict[str, str]) -> bool:
    return (folder / RECORD).is_file() and read_json(folder / RECORD) == record


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make a folder. A killed process holds nothing up: the system frees its lock."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{folder}: another process is unpacking this model; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _unpack(path: Path, folder: Path, record: dict[str, str]) -> None:
    """Write the file's weights, configuration, tokenizer and chat template to `folder`, all or nothing."""
    print(f"{path}: unpacking into {folder}, once; later runs open that folder", file=sys.stderr)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        model, tokenizer = _read(path, record["dtype"])
        unfinished.mkdir(parents=True)
        _savable(model).save_pretrained(unfinished, state_dict=model.state_dict())
        tokenizer.save_pretrained(unfinished)
        write_json(record, unfinished / RECORD)
        for file in unfinished.iterdir():
            file.chmod(0o644)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except (OSError, SafetensorError) as error:
        raise EngineError(
            f"{folder}: could not be written ({error}); free some space or check the folder's permissions, then run "
            "the same command again"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _read(path: Path, dtype: str) -> tuple[Any, Any]:
    """The model and the tokenizer of a file, by transformers."""
    import torch

    transformers = _transformers()
    # Newer versions can leave weights in blocks, which no other dtype could be made of.
    kind = getattr(transformers, "GgufConfig", None)
    options: dict[str, Any] = {"quantization_config": kind(dequantize=True)} if kind else {}
    with tempfile.TemporaryDirectory() as alone:
        # In a folder of its own: files that lie beside it are no part of the model, and nothing is asked of the hub.
        link = Path(alone) / "model.gguf"
        link.symlink_to(path.absolute())
        source: dict[str, Any] = {"gguf_file": link.name, "local_files_only": True}
        try:
            # Its progress bar and its advice are not about the study.
            with redirect_stderr(io.StringIO()):
                tokenizer = transformers.AutoTokenizer.from_pretrained(alone, **source)
                model, loaded = transformers.AutoModelForCausalLM.from_pretrained(
                    alone, dtype=getattr(torch, dtype), output_loading_info=True, **source, **options
                )
        except UNREADABLE as error:
            raise EngineError(_unreadable(path, error, link)) from error
    if missing := sorted(loaded["missing_keys"]):
        # transformers would fill them with random numbers.
        lacking = ValueError(f"it lacks {len(missing)} of the model's tensors, such as {missing[0]}")
        raise EngineError(_unreadable(path, lacking, link))
    return model, tokenizer


def _savable(model: Any) -> Any:
    """The same model without weights and without its past as a GGUF file."""
    import torch

    config = copy.deepcopy(model.config)
    vars(config).pop("quantization_config", None)
    config.name_or_path = ""
    with torch.device("meta"):
        fresh = type(model)(config).to(model.dtype)
    fresh.generation_config = model.generation_config
    return fresh


def _unreadable(path: Path, error: Exception, link: Path) -> str:
    reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    reason = reason.replace(str(link), "the file").removesuffix(".")[:200]
    if isinstance(error, KeyError):
        reason = f"it lacks {reason}"
    remedy = "the file is damaged or cut short: fetch it again (the quickstart's: delete it and run `make setup`)"
    if "not supported" in reason or isinstance(error, NotImplementedError):
        remedy = "serve it with llama.cpp and use engine openai with preset llama.cpp (docs/engines.md)"
    return f"models path {str(path)!r}: transformers cannot read this GGUF file: {reason}; {remedy}"


def _transformers() -> Any:
    import transformers

    logging: Any = transformers.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return transformers
