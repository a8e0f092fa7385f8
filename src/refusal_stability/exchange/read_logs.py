"""Read logs of any known format into a collection."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from refusal_stability.exchange import formats
from refusal_stability.exchange.collection import Collection
from refusal_stability.exchange.copies import Equal, FileContents, equal_files
from refusal_stability.exchange.export_folder import left_aside
from refusal_stability.exchange.log_format import HARNESS, LOG_FORMATS, ONCE, RUNS, ImportOptions, LogFormat
from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.numbered_runs import runs_of_their_own
from refusal_stability.records import StudyError

MOST_NOTES = 3
OWN_RUNS = ". If it is a run of its own, number the repeats of both (a column `repeat`), or add --equal-files runs"


def known_formats() -> Mapping[str, LogFormat]:
    """Every format by its name, after loading each file of `exchange/formats/`; the general ones come last."""
    for module in pkgutil.iter_modules(formats.__path__, f"{formats.__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(LOG_FORMATS.items(), key=lambda item: (item[1].rank, item[0])))


def read_logs(
    paths: Sequence[Path],
    name: str | None,
    options: ImportOptions,
    collection: Collection,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Add every response of the files, and of the files in folders, to the collection.

    `name` is a format; None means that each file's own is recognised. A file of a folder that is no log is left out
    with a note; one that the user names must be a log. A file that says what another says is taken once.
    """
    known = known_formats()
    if name is not None and name not in known:
        raise LogError(f"--format {name!r} is not allowed; allowed: {', '.join(known)}")
    by_format: dict[str, list[Path]] = {}
    for path, named in _without_tables_of_exports(_files(paths), options):
        found = name or next((n for n, one in known.items() if one.recognises(path)), None)
        if found is not None:
            by_format.setdefault(found, []).append(path)
        elif named:
            raise LogError(f"{path}: not a log of a known format; name one: --format {' | '.join(known)}")
        else:
            options.note(f"{path}: not a log of a known format; left out")
    if not by_format:
        raise LogError(f"{', '.join(map(str, paths))}: no log in it; known formats: {', '.join(known)}")
    harnesses = [found for found in by_format if known[found].rank == HARNESS]
    if len(harnesses) > 1:
        options.note(f"Logs of {', '.join(harnesses)}: each model is named after its harness too, to compare them")
    for found, files in by_format.items():
        before = collection.count()
        suffix = found if len(harnesses) > 1 and found in harnesses else ""
        one = known[found]
        copies = _copies(
            equal_files(files, one.beside, one.names_runs, options.said_of), "the same file as {}", options
        )
        files = [file for file in files if str(file) not in copies]
        _add_all(found, one, files, options, collection, suffix)
        added = collection.count() - before
        tell(f"{found}: {added} response{'s' * (added != 1)} in {len(files)} file{'s' if len(files) > 1 else ''}")
    options.note_names([file for files in by_format.values() for file in files])
    options.note_unused(by_format)
    if not collection.count():
        raise LogError("; ".join([f"{', '.join(map(str, paths))}: holds no response", *options.notes[:MOST_NOTES]]))


def _add_all(
    name: str, one: LogFormat, files: Sequence[Path], options: ImportOptions, collection: Collection, suffix: str
) -> None:
    """Add what a format reads, its models named with the `suffix` where that is not empty.

    A record that is not built as the format says is an error that names the place.
    """
    others = f" (or another of its {len(files)} files)" if len(files) > 1 else ""
    after = f"{files[0]}{others}: the first record"
    contents, names = FileContents(), [str(file) for file in files]
    compared = len(files) > 1 and not one.names_runs
    file = names[0]
    try:
        own_runs = runs_of_their_own(files, one.read, options) if compared else set()
        for logged in one.read(files, options):
            if not logged.place.startswith(f"{file}: "):
                file = next((name for name in names if logged.place.startswith(f"{name}: ")), file)
            logged = options.filled(logged, file)
            if file in own_runs and logged.repeat is not None:
                logged = replace(logged, repeat=None, order=logged.repeat)
            identity = contents.add(file, logged) if compared else 0
            collection.add(replace(logged, model=f"{logged.model} ({suffix})") if suffix else logged, file, identity)
            after = f"{logged.place}, or the record after it"
    except StudyError:
        raise
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        lacks = f" (it has no {str(error)[:60]})" if isinstance(error, KeyError) else ""
        raise LogError(
            f"{after}: not built as {name} logs are{lacks}; check the log's version, or name its format with --format"
        ) from error
    if compared:
        _take_once(contents.equal(), names, options, collection)


def _copies(equal: Mapping[str, Equal], says: str, options: ImportOptions) -> list[str]:
    """The files that are copies of others; tells these, and those that count as runs of their own."""
    copies = []
    for file, found in equal.items():
        reason = "--equal-files says so" if options.equal_files == RUNS else found.own_run
        if reason and options.equal_files != ONCE:
            options.note(
                f"{file}: {says.format(found.other)}; counts as a run of its own, since {reason}. If it is a copy, "
                f"leave it out, or add --equal-files {ONCE}"
            )
        else:
            copies.append(file)
            options.note(f"{file}: {says.format(found.other)}; taken once{OWN_RUNS * found.may_be_run}")
    return copies


def _take_once(
    equal: Mapping[str, Equal], names: Sequence[str], options: ImportOptions, collection: Collection
) -> None:
    """Drop files that say what another says, and tell those that another says too, beside more."""
    for copy in _copies(equal, "says what {} says", options):
        collection.drop(copy)
    told = equal.keys() | {found.other for found in equal.values()}
    for part, count in collection.contained():
        if part in names and part not in told:
            options.note(
                f"{part}: all its {count} responses stand in another file too, and count twice; if it is a part of "
                "that file, leave it out and import again"
            )


def _without_tables_of_exports(files: Sequence[tuple[Path, bool]], options: ImportOptions) -> list[tuple[Path, bool]]:
    """The files without those of a folder that an export of this project wrote beside its responses."""
    aside = left_aside([path for path, _ in files])
    for responses, others in aside.items():
        if not others:
            continue
        options.note(
            f"{responses.parent}: an export of this project; {responses.name} is read, and its {len(others)} other "
            "files are left aside (metric tables, descriptions, other forms of the same responses)"
        )
    skipped = {path for others in aside.values() for path in others}
    return [(path, named) for path, named in files if named or path not in skipped]


def _files(paths: Sequence[Path]) -> list[tuple[Path, bool]]:
    """Each file once, and whether the user named it; files of a folder come in the order of their names."""
    files: list[tuple[Path, bool]] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                p
                for p in path.rglob("*")
                if p.is_file() and not any(s.startswith(".") for s in p.relative_to(path).parts)
            )
            files += [(file, False) for file in inside]
        elif path.is_file():
            files.append((path, True))
        else:
            raise LogError(f"{path}: no such file or folder; check the path")
    once: dict[Path, tuple[Path, bool]] = {}
    for path, named in files:
        once.setdefault(path.resolve(), (path, named))
    return list(once.values())
