"""Which input each output of a batch belongs to: batches number their requests alike, and an output names no input."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_stability.exchange.log_format import ImportOptions
from refusal_stability.exchange.logged import LogError

# What tells an input's name from its output's.
KINDS_OF_FILE = {
    *("in", "input", "inputs", "request", "requests"),
    *("out", "output", "outputs", "result", "results", "response", "responses", "answers", "error", "errors"),
}
WORD = re.compile(r"[a-z]+|\d+")
# custom_id -> the place of the request, and its body
Asked = Mapping[str, tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class LoggedBatch:
    """Requests that each have an id of their own, and the outputs that answer them."""

    asked: Asked
    outputs: Sequence[Path]


def batches_of(
    inputs: Mapping[Path, Asked],
    outputs: Sequence[Path],
    ids_in: Callable[[Path], Set[str]],
    options: ImportOptions,
) -> list[LoggedBatch]:
    """The batches: one of all files, or one of each input where an id means two requests."""
    together: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for asked in inputs.values():
        for name, (place, body) in asked.items():
            if together.setdefault(name, (place, body))[1] != body:
                return _batch_of_each(inputs, outputs, ids_in, options)
    return [LoggedBatch(together, outputs)]


def _batch_of_each(
    inputs: Mapping[Path, Asked],
    outputs: Sequence[Path],
    ids_in: Callable[[Path], Set[str]],
    options: ImportOptions,
) -> list[LoggedBatch]:
    of_input: dict[Path, list[Path]] = {path: [] for path in inputs}
    for output in outputs:
        ids = ids_in(output)
        able = [path for path, asked in inputs.items() if asked.keys() >= ids]
        if not able:
            raise LogError(f"{output}: no input file has all its custom_ids; import the batch's own")
        of_input[_only(output, able)].append(output)
    for path, its_outputs in of_input.items():
        if not its_outputs:
            raise LogError(f"{path}: a batch's input has no answers; import the batch's output file with it")
    pairs = [f"{output} answers {path}" for path, its_outputs in of_input.items() for output in its_outputs]
    options.note(f"Batches use the same custom_ids for different requests: {'; '.join(pairs)}")
    return [LoggedBatch(inputs[path], its_outputs) for path, its_outputs in of_input.items()]


def _only(output: Path, inputs: Sequence[Path]) -> Path:
    """The one input that may be the output's: by its ids alone, by its folder, or by its name."""
    beside = [path for path in inputs if path.parent == output.parent]
    alike = [path for path in inputs if _words(path) == _words(output)]
    for found in (inputs, beside, alike):
        if len(found) == 1:
            return found[0]
    raise LogError(
        f"{output}: answers {inputs[0]} or {inputs[1]}, which use the same custom_ids for different requests; name "
        "each input and its output alike (t0-input.jsonl, t0-output.jsonl), or put each batch into a folder of its own"
    )


def _words(path: Path) -> list[str]:
    """The words and numbers of a path without those that say which file of a batch it is."""
    return [word for word in WORD.findall(path.with_suffix("").as_posix().lower()) if word not in KINDS_OF_FILE]
