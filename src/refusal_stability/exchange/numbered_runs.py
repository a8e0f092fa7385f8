"""Tables that each number their repeats from 1: runs of their own, or further columns of the same responses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refusal_stability.exchange.copies import OTHER_LABELS, FileContents
from refusal_stability.exchange.log_format import ONCE, RUNS, ImportOptions, Reader


def runs_of_their_own(files: Sequence[Path], read: Reader, options: ImportOptions) -> set[str]:
    """The files that number their repeats as an earlier one does, and are other runs.

    They are where an answer under one number differs, where the command says so, or where equal files are told apart.
    """
    first: dict[int, tuple[int, str]] = {}
    contents, sharing = FileContents(), dict[str, str]()
    differing = set()
    for path in files:
        file, cells = str(path), dict[int, int]()
        for logged in read([path], options):
            contents.add(file, logged)
            if logged.repeat is not None and not logged.counted and logged.text:
                cell = (logged.model, logged.prompt.prompt_id, logged.temperature, logged.repeat)
                cells[hash(cell)] = hash(logged.text)
        for cell_hash, text in cells.items():
            other_text, other = first.setdefault(cell_hash, (text, file))
            if other != file:
                sharing.setdefault(file, other)
                if other_text != text:
                    differing.add(file)
    equal = contents.equal()
    told = {file for file, found in equal.items() if found.own_run not in ("", OTHER_LABELS)}
    for file in differing:
        options.note(
            f"{file}: numbers its repeats as {sharing[file]} does, but its answers differ: a run of its own, so the "
            "repeats are only counted"
        )
    if options.equal_files == RUNS:
        return set(sharing)
    if options.equal_files == ONCE:
        return differing
    for file in sorted(told & sharing.keys()):
        options.note(
            f"{file}: says what {equal[file].other} says; a run of its own, since {equal[file].own_run}, so "
            "the repeats are only counted"
        )
    return differing | (told & sharing.keys())
