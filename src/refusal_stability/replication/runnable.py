"""The part of the published study that the data at hand can run; the rest is left out, with the reason."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from refusal_stability.engines.recorded import LAYOUTS as RESPONSE_FILES
from refusal_stability.exchange.logged import NO_TEXT
from refusal_stability.exchange.recorded_files import NOT_SAMPLED_REASON
from refusal_stability.judging.recorded import LAYOUTS as LABEL_FILES
from refusal_stability.replication.source import PublishedDataError

LABEL_TABLES = "data/results/labels"
NO_RESPONSE = (NO_TEXT, NOT_SAMPLED_REASON)


@dataclass
class Held:
    """What the data hold of one model, in configurations of `wanted`; `left_out` says why it does not run."""

    model: str
    label: str
    wanted: int
    responses: int
    labels: dict[str, int] = field(default_factory=dict)
    left_out: str = ""


@dataclass
class RunnableStudy:
    """The study that can run, as the mapping that `params.yaml` takes; what the data hold; files that no model uses."""

    params: dict[str, Any]
    held: list[Held]
    unclaimed: list[str]

    @property
    def absent(self) -> dict[str, str]:
        """Each model that is left out -> why."""
        return {held.model: held.left_out for held in self.held if held.left_out}

    def lines(self) -> list[str]:
        """What runs and what does not, for people."""
        lines = []
        for held in self.held:
            found = [f"responses {held.responses} of {held.wanted}"]
            found += [f"labels by {judge} {count} of {held.wanted}" for judge, count in held.labels.items()]
            ending = f"; LEFT OUT: {held.left_out}" if held.left_out else ""
            lines.append(f"{held.label}: {', '.join(found)} configurations{ending}")
        return [*lines, *(f"not used: {name}" for name in self.unclaimed)]


def read_study_file(path: Path) -> dict[str, Any]:
    """A study file as plain keys and values, unchecked; `load_params` checks it."""
    try:
        study = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise PublishedDataError(f"{path}: not readable as YAML: {' '.join(str(error).split())[:200]}") from error
    return dict(study)


def labelled(study: Mapping[str, Any]) -> dict[str, list[str]]:
    """Recorded judge -> the models of which a study file says that it has labels."""
    judges = study["judging"]["judges"].items()
    return {name: list(judge["settings"]["models"]) for name, judge in judges if judge["kind"] == "recorded"}


def runnable_study(study: Mapping[str, Any], data: Path, primary: str | None = None) -> RunnableStudy:
    """A study without the models and judges that the data lack.

    A model needs labels by its primary judge, or responses where that judge is not a recorded one. A model with some
    responses lacking runs on its labels only.
    """
    params = copy.deepcopy(dict(study))
    judging = params["judging"]
    if primary is not None and primary != judging["primary"]:
        if primary not in judging["judges"]:
            raise PublishedDataError(f"PRIMARY={primary}: no such judge; one of {', '.join(judging['judges'])}")
        judging["primary"] = primary
        params["study"] = f"{params['study']}-{primary}"
    grid = list(product(params["sampling"]["temperatures"], params["sampling"]["seeds"]))
    used: set[str] = set()
    found = {name: _labels(judge, data, grid, used) for name, judge in judging["judges"].items()}
    held = []
    for name, model in list(params["models"].items()):
        files = _response_files(model["settings"], data, grid, used)
        responses = sum(map(_has_text, files))
        labels = {judge: counts[name] for judge, counts in found.items() if name in counts}
        one = Held(name, model.get("label", name), len(grid), responses, labels)
        one.left_out = _why_not(one, judging, primary_of(judging, name), bool(model["settings"].get("labels_only")))
        held.append(one)
        if one.left_out:
            del params["models"][name]
            judging.get("by_model", {}).pop(name, None)
        elif len(files) < len(grid):
            model["settings"]["labels_only"] = True
    if not params["models"]:
        raise PublishedDataError(
            f"{data}: no model can run: " + "; ".join(f"{one.label}: {one.left_out}" for one in held)
        )
    _drop_labels(judging, {one.model: one for one in held}, data)
    tables = {file.relative_to(data).as_posix() for file in data.glob("data/results/*/*.csv")}
    return RunnableStudy(params, held, _grouped(sorted(tables - used)))


def primary_of(judging: Mapping[str, Any], model: str) -> str:
    """The primary judge of one model, as `JudgingParams.of` chooses it."""
    return str(judging.get("by_model", {}).get(model, {}).get("primary") or judging["primary"])


def _why_not(held: Held, judging: Mapping[str, Any], primary: str, labels_only: bool) -> str:
    if judging["judges"][primary]["kind"] != "recorded":
        needed = held.responses == held.wanted
        return "" if needed else f"the data hold {held.responses} of {held.wanted} response files"
    if held.labels.get(primary, 0) == held.wanted:
        return ""
    others = [judge for judge, count in held.labels.items() if count == held.wanted]
    there = f"labels by {primary} for {held.labels.get(primary, 0)} of {held.wanted} configurations"
    if not held.responses and not any(held.labels.values()):
        return (
            f"the data hold neither responses nor labels of it{'' if labels_only else ' under the names in the study'}"
        )
    if not others:
        return there
    return (
        f"{there}; PRIMARY={others[0]} measures every model by that judge, judging.by_model in the study file only "
        "this one (its max_missing is how much the judge may leave undecided)"
    )


def _drop_labels(judging: dict[str, Any], held: Mapping[str, Held], data: Path) -> None:
    """Drop incomplete labels, absent files, and judges without any label from the panel."""
    for judge in list(judging["judges"]):
        params = judging["judges"][judge]
        if params["kind"] != "recorded":
            continue
        models = params["settings"]["models"]
        for model in list(models):
            if held[model].left_out or held[model].labels[judge] < held[model].wanted:
                del models[model]
        files = params["settings"].get("files", [])
        files[:] = [name for name in files if (data / LABEL_TABLES / name).is_file()]
        if not models:
            del judging["judges"][judge]


def _response_files(
    settings: Mapping[str, Any], data: Path, grid: list[tuple[float, int]], used: set[str]
) -> list[Path]:
    if settings.get("labels_only"):
        return []
    return _there(RESPONSE_FILES[settings.get("layout", "project")], settings["name"], data, grid, used)


def _labels(judge: Mapping[str, Any], data: Path, grid: list[tuple[float, int]], used: set[str]) -> dict[str, int]:
    """Model -> for how many configurations of the grid a recorded judge has labels."""
    if judge["kind"] != "recorded":
        return {}
    settings = judge["settings"]
    layout = settings.get("layout", "project")
    if layout != "table":
        pattern = LABEL_FILES[layout]
        return {model: len(_there(pattern, name, data, grid, used)) for model, name in settings["models"].items()}
    cells: set[tuple[str, float, int]] = set()
    for name in settings["files"]:
        if (data / LABEL_TABLES / name).is_file():
            used.add(f"{LABEL_TABLES}/{name}")
            cells |= _cells(data / LABEL_TABLES / name)
    return {
        model: sum((theirs, float(temperature), seed) in cells for temperature, seed in grid)
        for model, theirs in settings["models"].items()
    }


def _has_text(file: Path) -> bool:
    """Whether a file of responses has any; imported labels stand beside responses that are missing for that reason."""
    try:
        reasons = pd.read_csv(file, usecols=lambda name: name == "missing_reason", keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise PublishedDataError(f"{file}: not a table of responses: {error}") from error
    return reasons.empty or bool((~reasons["missing_reason"].isin(NO_RESPONSE)).any())


def _there(pattern: str, name: str, data: Path, grid: list[tuple[float, int]], used: set[str]) -> list[Path]:
    names = {pattern.format(name=name, under="", temperature=float(t), seed=seed) for t, seed in grid}
    there = {name for name in names if (data / name).is_file()}
    used |= there
    return [data / name for name in sorted(there)]


def _cells(file: Path) -> set[tuple[str, float, int]]:
    columns = ["model", "temperature", "seed"]
    try:
        table = pd.read_csv(file, usecols=columns)[columns].drop_duplicates()
    except (ValueError, UnicodeDecodeError) as error:
        raise PublishedDataError(f"{file}: not a label table with {', '.join(columns)}: {error}") from error
    return {(str(m), float(t), int(s)) for m, t, s in table.itertuples(index=False)}


def _grouped(files: list[str]) -> list[str]:
    """Files that differ in temperature and seed only, as one line with their number."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(file.split("_temp")[0], []).append(file)
    return [names[0] if len(names) == 1 else f"{stem}_temp* ({len(names)} files)" for stem, names in groups.items()]


def params_text(runnable: RunnableStudy, source: Path) -> str:
    """The text of `params.yaml`: the study file itself where all of it runs, else what is left of it."""
    if runnable.params == read_study_file(source):
        return source.read_text(encoding="utf-8")
    remarks = [f"# {source.name} as far as the data at hand go; written by `make {source.stem}`."]
    remarks += [f"# Left out: {held.label}: {held.left_out}." for held in runnable.held if held.left_out]
    return "\n".join(remarks) + "\n" + yaml.safe_dump(runnable.params, sort_keys=False, width=120)
