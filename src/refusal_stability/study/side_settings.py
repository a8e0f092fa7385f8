"""What two sides of a comparison were run with: their parameters, the texts of their prompts, the models served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_stability.files import METRICS, PARAMS_IN_FULL, PROMPTS, SERVED, read_json, write_json
from refusal_stability.records import StudyError
from refusal_stability.study.sides import Side, baseline_folder
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import METRIC_TABLES
from refusal_stability.tables.study import PROMPT_TABLE

NOT_SET = "not set"
# Addresses may carry a login, so only that they differ is shown.
UNSHOWN = ("url",)
Served = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Difference:
    """A parameter that two sides do not share, with both values as JSON."""

    parameter: str
    first: str
    second: str


def parameter_differences(first: Side, second: Side) -> tuple[list[Difference], list[str]]:
    """The parameters that differ, and a note for each side whose parameters are not known.

    Of two models the names and settings differ by intent. They are compared only where both sides mean the same model.
    """
    sides = [parameters_of(side.root) for side in (first, second)]
    if first.root == second.root:
        return [], []
    notes = [
        f"{letter} ({side.name}): its parameters are not known ({side.root / PARAMS_IN_FULL} is not there), so it was "
        "not checked whether the sides were measured alike"
        for letter, side, found in zip("AB", (first, second), sides, strict=True)
        if not found
    ]
    if notes:
        return [], notes
    same_model = first.model == second.model
    found = []
    for key in sorted({*sides[0], *sides[1]}):
        section, _, rest = key.partition("/")
        if section == "study" or (section == "models" and not (same_model and _of(rest, first.model))):
            continue
        a, b = (json.dumps(side[key], ensure_ascii=False) if key in side else NOT_SET for side in sides)
        if a != b:
            if any(word in key.rpartition("/")[2] for word in UNSHOWN):
                a, b = "one address", "another"
            found.append(Difference(key, a, b))
    return found, []


def differing(differences: list[Difference]) -> list[str]:
    """A line for each parameter that differs; for a threshold, also which one counts here."""
    counted = "; both sides are counted with the one of --params"
    return [
        f"parameter {d.parameter} differs: A {d.first}, B {d.second}{counted * d.parameter.startswith('metrics/')}"
        for d in differences
    ]


def _of(place: str, model: str | None) -> bool:
    return model is None or place.partition("/")[0] == model


def parameters_of(root: Path) -> dict[str, Any]:
    """Every parameter by its path, such as `sampling/temperatures`."""
    folder = root / PARAMS_IN_FULL
    found: dict[str, Any] = {}
    for file in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
        place = "/".join(file.relative_to(folder).with_suffix("").parts)
        found |= dict(leaves(read_json(file), place))
    return found


def leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Each single value by its path below `place`."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{place}/{key}")
    else:
        yield place, value


def prompt_texts(*sides: Side) -> dict[str, str]:
    """The text of every prompt that a side's own table holds; the first side that has it wins."""
    texts: dict[str, str] = {}
    for side in sides:
        path = side.root / PROMPTS
        if path.is_file():
            table = read_table(path, PROMPT_TABLE)
            texts = dict(zip(table["prompt_id"], table["prompt"], strict=True)) | texts
    return texts


def changed_texts(first: Side, second: Side) -> list[str]:
    """The ids of prompts whose text is not the same on both sides: their pairing compares two questions."""
    ours, theirs = prompt_texts(first), prompt_texts(second)
    return sorted(name for name, text in ours.items() if theirs.get(name, text) != text)


def served_differences(first: Served, second: Served) -> list[str]:
    """A line for each served model whose fingerprints are not those of the other side."""
    lines = []
    for model in sorted({*first} & {*second}):
        a, b = first[model], second[model]
        if a != b:
            shown = [", ".join(prints) or "none" for prints in (a, b)]
            lines.append(f"{model}: the server's fingerprint was {shown[0]} and is {shown[1]}")
    for letter, own, other in (("A", first, second), ("B", second, first)):
        lines += [f"{model}: served on side {letter} only" for model in sorted({*own} - {*other}) if other]
    return lines


def by_model(pairs: set[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Served model -> its fingerprints, in order."""
    return {m: tuple(sorted(f for n, f in pairs if n == m and f)) for m in sorted({model for model, _ in pairs})}


def read_served(root: Path) -> dict[str, tuple[str, ...]]:
    """The served models of a saved baseline; none where it has none."""
    path = root / SERVED
    return {m: tuple(f) for m, f in read_json(path).items()} if path.is_file() else {}


def save_baseline(name: str, served: Served, force: bool) -> Path:
    """Keep the study's per-prompt table, prompts, parameters and served models under a name."""
    folder = baseline_folder(name)
    table = METRIC_TABLES["per_prompt_metrics"][0]
    if not table.is_file():
        raise StudyError(f"{table}: no such file; run `dvc repro metrics`, then save the baseline")
    if not PARAMS_IN_FULL.is_dir():
        raise StudyError(f"{PARAMS_IN_FULL}: no such folder; run `dvc repro params`, then save the baseline")
    if folder.exists() and not force:
        raise StudyError(f"{folder}: this baseline is there already; choose another name, or replace it with --force")
    aside = folder.with_name(f".{name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / METRICS).mkdir(parents=True)
    (aside / PROMPTS).parent.mkdir(parents=True)
    shutil.copyfile(table, aside / table)
    shutil.copyfile(PROMPTS, aside / PROMPTS)
    shutil.copytree(PARAMS_IN_FULL, aside / PARAMS_IN_FULL)
    write_json({model: list(prints) for model, prints in served.items()}, aside / SERVED)
    shutil.rmtree(folder, ignore_errors=True)
    aside.replace(folder)
    return folder
