"""The study file that measures imported responses: `studies/<name>.yaml`, as a person would write it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from refusal_stability.exchange.collected import Grid
from refusal_stability.exchange.collection import Collection
from refusal_stability.exchange.exported_study import ExportedStudy, grid_of
from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.recorded_files import PROMPTS_FILE, model_names, study_name, study_names
from refusal_stability.exchange.table_map import TableMap
from refusal_stability.judging.label_names import decision_named
from refusal_stability.params.judges import MAJORITY, NO_JUDGE_NAMES, JudgingParams
from refusal_stability.records import NO_INTERVENTION

ABOUT = ("category", "source", "harm", "language", "intent")
RULES = "rules"
DEFAULT_MAX_MISSING = JudgingParams().max_missing
TAKEN = (MAJORITY, *NO_JUDGE_NAMES)
SHOWN = 5
# How the file begins that an import wrote.
BY_IMPORT = "# Imported by `refusal-stability import`"


def judge_name(judge: str) -> str:
    """A judge's name in params.yaml, where some names are taken."""
    name = study_name(judge)
    return f"{name}-labels" if name in TAKEN else name


def judge_labels(
    collection: Collection, chosen: TableMap, exported: ExportedStudy | None = None
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The judges whose labels all mean a decision, each with its map of labels; and a line on each other judge.

    The majority of an export is taken anew, and its judges are used whatever they decided. Any other label that is none
    of the decisions needs `chosen.labels` or `chosen.missing`. A key `judge:label` of `chosen.labels` is that judge's
    own.
    """
    known, notes = {}, []
    none = {label.casefold() for label in chosen.missing}
    panel = exported.judging.judges if exported else {}
    for judge, counts in collection.labels.items():
        if judge == MAJORITY and judge in panel:
            continue
        labels = [label for label in counts if label]
        # Of two names for one label the later counts: the judge's own come last.
        by_scope = sorted(chosen.labels.items(), key=lambda item: item[0].startswith(f"{judge}:"))
        own = {name.removeprefix(f"{judge}:"): decision for name, decision in by_scope}
        means = {label: decision_named(label, own) for label in labels}
        unknown = [label for label in labels if means[label] is None and label.casefold() not in none]
        if not unknown and not any(means.values()) and judge not in panel:
            notes.append(f"judge {judge}: not used, since all its labels are missing")
        elif unknown:
            seen = ", ".join(f"{label!r} ({counts[label]})" for label in unknown[:SHOWN])
            notes.append(
                f"judge {judge}: not used, since its labels {seen} are no decisions; say what they mean with "
                "--label 'theirs=REFUSE' (or --missing theirs) and import again"
            )
        else:
            known[judge] = {label: str(decision) for label, decision in means.items() if decision and label != decision}
    return known, notes


def imported_study(
    name: str,
    folder: Path,
    collection: Collection,
    judges: Mapping[str, Mapping[str, str]],
    missing: Sequence[str],
    unused: Sequence[str] = (),
    exported: ExportedStudy | None = None,
) -> dict[str, Any]:
    """The study as plain keys and values.

    Of an export, all is as in the study that it describes. Otherwise the primary judge is the first that labels every
    model, or else the rules. Without a judge and without a response for the rules there is nothing to measure: an error
    with each of `unused`.
    """
    grid = grid_of(collection, exported)
    names = model_names(grid.models, exported)
    prompts = collection.prompts
    columns = {"id": "id", "messages": "messages"}
    columns |= {about: about for about in ABOUT if any(getattr(prompt, about) for prompt in prompts)}
    labelled = {judge: [model for model in grid.models if judge in collection.judges_of(model)] for judge in judges}
    known = exported.judging.judges if exported else {}
    judge_names = {judge: judge for judge in known}
    judge_names |= study_names([judge for judge in judges if judge not in known], "judges", judge_name)
    panel: dict[str, Any] = {}
    for judge in sorted(judges, key=lambda judge: list(known).index(judge) if judge in known else len(known)):
        once = judge in known and known[judge].judged_once
        panel[judge_names[judge]] = _recorded_judge(
            judge, folder, {names[m]: names[m] for m in labelled[judge]}, judges[judge], missing, once
        )
        if (asked := collection.repeats_of(judge)) > 1:
            panel[judge_names[judge]]["repeats"] = asked
    whole = [judge_names[judge] for judge in judges if labelled[judge] == grid.models]
    if not whole and RULES in panel and not exported:
        panel[f"{RULES}-recorded"] = panel.pop(RULES)
    if not panel.keys() & {RULES, *known} and any(collection.has_texts(model) for model in grid.models):
        panel[RULES] = {"kind": "rules"}
    if not panel:
        raise LogError("; ".join(["nothing to measure: no response has a text, and no judge is used", *unused]))
    primary = (whole or [RULES] * (RULES in panel) or list(panel))[0]
    judging: dict[str, Any] = {"primary": primary}
    recorded = next((judge for judge in judges if judge_names[judge] == primary), None)
    if exported and exported.judging.primary in (*panel, MAJORITY):
        judging = _exported_judging(exported, names)
        panel |= {MAJORITY: {"kind": MAJORITY}} if MAJORITY in known else {}
    elif (share := collection.largest_undecided(recorded, missing)) > DEFAULT_MAX_MISSING:
        judging["max_missing"] = min(1.0, math.ceil(100 * share) / 100)
    judging["judges"] = panel
    study: dict[str, Any] = {
        "study": name,
        "prompts": {"source": "table", "path": (folder / PROMPTS_FILE).as_posix(), "columns": columns},
        **_exported_interventions(exported, grid),
        "sampling": {"temperatures": grid.temperatures, "seeds": grid.repeats},
        "models": {names[model]: _recorded_model(model, names[model], folder, exported) for model in grid.models},
        "judging": judging,
    }
    if exported and (metrics := _without_defaults(exported.metrics)):
        study["metrics"] = metrics
    return study


def _exported_judging(exported: ExportedStudy, names: Mapping[str, str]) -> dict[str, Any]:
    """The settings of `judging` that an export describes."""
    told, default = exported.judging, JudgingParams()
    kept = ("blocked", "degenerate", "max_missing")
    judging: dict[str, Any] = {"primary": told.primary}
    judging |= {name: getattr(told, name) for name in kept if getattr(told, name) != getattr(default, name)}
    by_model = {model: _without_defaults(own) for model, own in told.by_model.items() if model in names}
    return judging | ({"by_model": by_model} if by_model else {})


def _exported_interventions(exported: ExportedStudy | None, grid: Grid) -> dict[str, Any]:
    """The section `interventions`, where an export has any."""
    if exported is None or grid.interventions == [NO_INTERVENTION]:
        return {}
    return {"interventions": {name: _without_defaults(exported.interventions[name]) for name in grid.interventions}}


def _without_defaults(section: Any) -> dict[str, Any]:
    """A section of params.yaml as plain values, without those that it has anyway."""
    default = asdict(type(section)())
    return {name: value for name, value in asdict(section).items() if value != default[name]}


def _recorded_model(model: str, name: str, folder: Path, exported: ExportedStudy | None) -> dict[str, Any]:
    settings: dict[str, Any] = {"layout": "project", "name": name}
    if exported:
        # An answer that begins as a source's errors do is an answer there.
        settings |= {"whole_conversations": True, "missing": []}
    label = exported.models[model] if exported else model.replace("${", "$ {").replace("???", "? ? ?")
    about = {"label": label} if label else {}
    return {"engine": "recorded", "path": folder.as_posix(), **about, "settings": settings}


def _recorded_judge(
    judge: str,
    folder: Path,
    models: Mapping[str, str],
    labels: Mapping[str, str],
    missing: Sequence[str],
    judged_once: bool,
) -> dict[str, Any]:
    settings: dict[str, Any] = {"layout": "project", "judge": judge, "models": dict(models)}
    if labels:
        settings["labels"] = dict(labels)
    if missing:
        settings["missing"] = list(missing)
    if judged_once:
        settings["judged_once"] = True
    return {"kind": "recorded", "path": folder.as_posix(), "settings": settings}


def check_study_replaceable(path: Path, force: bool) -> None:
    """Refuse a study file that no import wrote, unless the user says that it may be replaced."""
    if force or not path.is_file() or path.read_text(encoding="utf-8", errors="replace").startswith(BY_IMPORT):
        return
    raise LogError(
        f"{path}: is a study that no import wrote; choose another name: --name {path.stem}-imported (or replace it: "
        f"--force, which keeps it as {path.stem}.previous.yaml)"
    )


def study_text(params: Mapping[str, Any], remarks: Iterable[str]) -> str:
    """The text of the study file, with remarks above it."""
    lines = "".join(f"# {' '.join(remark.split())}\n" for remark in remarks)
    return f"{BY_IMPORT}.\n{lines}" + yaml.safe_dump(dict(params), sort_keys=False, allow_unicode=True, width=120)
