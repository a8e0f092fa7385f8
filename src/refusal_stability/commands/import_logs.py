"""Logs of other harnesses become a study: recorded responses and labels in data/raw, and a study file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from refusal_stability.exchange.collected import Grid
from refusal_stability.exchange.collection import Collection, collecting
from refusal_stability.exchange.exported_study import complete_prompts, grid_of, only_study
from refusal_stability.exchange.log_format import ONCE, RUNS, ImportOptions
from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.read_logs import read_logs
from refusal_stability.exchange.recorded_files import check_replaceable, study_name, write_recorded
from refusal_stability.exchange.study_file import (
    SHOWN,
    check_study_replaceable,
    imported_study,
    judge_labels,
    study_text,
)
from refusal_stability.exchange.table_map import TableMap, read_table_map
from refusal_stability.files import IMPORTED, STUDIES, atomic_write
from refusal_stability.params.checks import ParamsError, check_texts, parsed
from refusal_stability.params.study import StudyParams


def run(
    paths: Sequence[Path], name: str | None, format_name: str | None, options: ImportOptions, force: bool = False
) -> None:
    """Import the logs and say what was found, what could not be placed, and what to run next."""
    name = study_name(paths[0].stem) if name is None else name
    if study_name(name) != name:
        raise LogError(f"--name {name!r} is not allowed; allowed: lower-case letters, digits, - and _")
    folder, study = IMPORTED / name, STUDIES / f"{name}.yaml"
    check_replaceable(folder)
    check_study_replaceable(study, force)
    with collecting() as collection:
        read_logs(paths, format_name, options, collection, print)
        exported = only_study(options.studies, collection.grid())
        if exported is None:
            if len(collection.grid().interventions) > 1:
                options.note("Not one whole export: each model under an intervention is a model of its own")
            collection.fold_interventions()
        else:
            complete_prompts(collection, options.studies.values())
            if absent := exported.without_response(collection.grid()):
                options.note(
                    f"{', '.join(absent)}: left out, since the export holds no response of it; tables that name it "
                    "will differ from the exported ones"
                )
            if exported.judges_thinking:
                options.note(
                    "The judging of the thinking (judging.thinking) is no part of an export; set it again to have it"
                )
        own_numbers = collection.number_repeats()
        if shared := collection.shared_seeds:
            options.note(f"responses sent the seed of another response to their prompt: {shared}; each is a repeat")
        for judge, count in collection.drop_labels_of_failed().items():
            options.note(f"judge {judge}: {_counted(count, 'label')} of missing responses left out: no decision")
        judges, unused = judge_labels(collection, options.table_map, exported)
        params = imported_study(name, folder, collection, judges, options.table_map.missing, unused, exported)
        parsed(StudyParams, params)
        try:
            check_texts(params)
        except ParamsError as error:
            raise LogError(f"the study file that this import would write: {error}; rename it in the log") from error
        write_recorded(collection, folder, exported)
        remarks = [f"The responses lie in {folder.as_posix()}.", _on_repeats(own_numbers)]
        lines = _found(collection, grid_of(collection, exported))
    if study.is_file():
        study.replace(study.with_name(f"{name}.previous.yaml"))
    with atomic_write(study) as file:
        file.write(study_text(params, remarks))
    print("\n".join([*lines, _on_repeats(own_numbers), *options.notes, *unused]))
    primary = params["judging"]["primary"]
    if "max_missing" in params["judging"] and exported is None:
        print(f"Many responses have no decision: judging.max_missing is set to {params['judging']['max_missing']:g}")
    print(f"{study}: primary judge {primary}; run it: make study NAME={name} && make repro")


def _on_repeats(own_numbers: bool) -> str:
    if own_numbers:
        return "Seeds are the repeats as the logs number them."
    return "The logs do not number the repeats alike for all prompts: seeds 1 to N only count them."


def _counted(number: int, one: str) -> str:
    return f"{number} {one}" + "s" * (number != 1)


def _found(collection: Collection, grid: Grid) -> list[str]:
    temperatures, under = grid.temperatures, len(grid.interventions)
    lines = [
        f"{_counted(collection.count(), 'response')}: {_counted(len(collection.prompts), 'prompt')}, "
        f"{_counted(len(grid.models), 'model')}, {f'{under} interventions, ' * (under > 1)}"
        f"temperature{'s' * (len(temperatures) != 1)} {', '.join(f'{t:g}' for t in temperatures)}, "
        f"{_counted(len(grid.repeats), 'repeat')}"
    ]
    cells = len(collection.prompts) * grid.size
    if collection.count() < cells:
        lines.append(f"{cells - collection.count()} of {cells} places of this grid hold no response: not sampled")
    if again := collection.said_again:
        lines.append(
            f"{len(again)} rows or samples say again what another says of the same repeat (the first: {again[0]}); "
            "each repeat is taken once. If they are repeats of their own, say which column numbers them: --column "
            "repeat=NAME, or repeat=none"
        )
    lines += [f"missing: {count} {reason}" for reason, count in collection.missing().most_common()]
    for judge, counts in sorted(collection.labels.items()):
        shown = [
            f"{label!r} ({count})" if label else f"missing ({count})" for label, count in counts.most_common(SHOWN)
        ]
        others = [f"and {len(counts) - SHOWN} other labels"] * (len(counts) > SHOWN)
        lines.append(f"judge {judge}: {', '.join([*shown, *others])}")
    return lines


def options_of(
    temperature: float | None,
    map_path: Path | None,
    columns: Sequence[str],
    constants: Sequence[str],
    labels: Sequence[str],
    missing: Sequence[str],
    equal_files: str | None = None,
    files: str | None = None,
) -> ImportOptions:
    """What the command line says about the logs; single options go before the map's."""
    if equal_files not in (None, ONCE, RUNS):
        raise LogError(f"--equal-files {equal_files!r} is not allowed; allowed: {ONCE}, {RUNS}")
    chosen = read_table_map(map_path) if map_path else TableMap()
    added = {
        "columns": {**chosen.columns, **_pairs("--column", columns)},
        "constants": {**chosen.constants, **_pairs("--constant", constants)},
        "labels": {**chosen.labels, **_pairs("--label", labels)},
        "missing": [*chosen.missing, *missing],
        "files": files or chosen.files,
    }
    given = parsed(TableMap, asdict(chosen) | added, "import")
    told = given.constants.get("temperature")
    temperature = float(told) if temperature is None and told is not None else temperature
    return ImportOptions(temperature, equal_files, given)


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, found, value = text.rpartition("=") if option == "--label" else text.partition("=")
        if not (name and found and value):
            raise LogError(f"{option} {text!r} is not allowed; allowed: a name, =, and a value")
        pairs[name] = value
    return pairs
