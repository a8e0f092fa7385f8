"""The study file that measures imported responses: `studies/<name>.yaml`, as a person would write it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from refusal_stability.exchange.collection import Collection
from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.recorded_files import PROMPTS_FILE, study_name, study_names
from refusal_stability.exchange.table_map import TableMap
from refusal_stability.judging.label_names import decision_named
from refusal_stability.params.judges import MAJORITY, NO_JUDGE_NAMES, JudgingParams

ABOUT = ("category", "source", "harm", "language", "intent")
RULES = "rules"
DEFAULT_MAX_MISSING = JudgingParams().max_missing
TAKEN = (MAJORITY, *NO_JUDGE_NAMES)
SHOWN = 5


def judge_name(judge: str) -> str:
    """A judge's name in params.yaml, where some names are taken."""
    name = study_name(judge)
    return f"{name}-labels" if name in TAKEN else name


def judge_labels(collection: Collection, chosen: TableMap) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The judges whose labels all mean a decision, each with its map of labels; and a line on each other judge.

    A label that is none of the decisions needs `chosen.labels` or `chosen.missing`. A key `judge:label` of
    `chosen.labels` is that judge's own.
    """
    known, notes = {}, []
    none = {label.casefold() for label in chosen.missing}
    for judge, counts in collection.labels.items():
        labels = [label for label in counts if label]
        # Of two names for one label the later counts: the judge's own come last.
        by_scope = sorted(chosen.labels.items(), key=lambda item: item[0].startswith(f"{judge}:"))
        own = {name.removeprefix(f"{judge}:"): decision for name, decision in by_scope}
        means = {label: decision_named(label, own) for label in labels}
        unknown = [label for label in labels if means[label] is None and label.casefold() not in none]
        if not unknown and not any(means.values()):
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
) -> dict[str, Any]:
    """The study as plain keys and values; the primary judge is the first that labels every model, or else the rules.

    Without a judge and without a response for the rules there is nothing to measure: an error with each of `unused`.
    """
    models, temperatures, repeats = collection.grid()
    names = study_names(models)
    prompts = collection.prompts
    columns = {"id": "id", "messages": "messages"}
    columns |= {about: about for about in ABOUT if any(getattr(prompt, about) for prompt in prompts)}
    labelled = {judge: [model for model in models if judge in collection.judges_of(model)] for judge in judges}
    judge_names = study_names(judges, "judges", judge_name)
    panel: dict[str, Any] = {
        judge_names[judge]: _recorded_judge(
            judge, folder, {names[m]: names[m] for m in labelled[judge]}, judges[judge], missing
        )
        | ({"repeats": asked} if (asked := collection.repeats_of(judge)) > 1 else {})
        for judge in judges
    }
    whole = [judge_names[judge] for judge in judges if labelled[judge] == models]
    if not whole and RULES in panel:
        panel[f"{RULES}-recorded"] = panel.pop(RULES)
    if RULES not in panel and any(collection.has_texts(model) for model in models):
        panel[RULES] = {"kind": "rules"}
    if not panel:
        raise LogError("; ".join(["nothing to measure: no response has a text, and no judge is used", *unused]))
    primary = (whole or [RULES] * (RULES in panel) or list(panel))[0]
    judging: dict[str, Any] = {"primary": primary}
    recorded = next((judge for judge in judges if judge_names[judge] == primary), None)
    if (share := collection.largest_undecided(recorded, missing)) > DEFAULT_MAX_MISSING:
        judging["max_missing"] = min(1.0, math.ceil(100 * share) / 100)
    judging["judges"] = panel
    return {
        "study": name,
        "prompts": {"source": "table", "path": (folder / PROMPTS_FILE).as_posix(), "columns": columns},
        "sampling": {"temperatures": temperatures, "seeds": repeats},
        "models": {names[model]: _recorded_model(model, names[model], folder) for model in models},
        "judging": judging,
    }


def _recorded_model(model: str, name: str, folder: Path) -> dict[str, Any]:
    return {
        "engine": "recorded",
        "path": folder.as_posix(),
        "label": model,
        "settings": {"layout": "project", "name": name},
    }


def _recorded_judge(
    judge: str, folder: Path, models: Mapping[str, str], labels: Mapping[str, str], missing: Sequence[str]
) -> dict[str, Any]:
    settings: dict[str, Any] = {"layout": "project", "judge": judge, "models": dict(models)}
    if labels:
        settings["labels"] = dict(labels)
    if missing:
        settings["missing"] = list(missing)
    return {"kind": "recorded", "path": folder.as_posix(), "settings": settings}


def study_text(params: Mapping[str, Any], remarks: Iterable[str]) -> str:
    """The text of the study file, with remarks above it."""
    lines = "".join(f"# {' '.join(remark.split())}\n" for remark in remarks)
    return lines + yaml.safe_dump(dict(params), sort_keys=False, allow_unicode=True, width=120)
