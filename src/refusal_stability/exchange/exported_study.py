"""What an export says of its study beside the responses, so that an import gives the same tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, field

import pandas as pd
from pydantic.dataclasses import dataclass

from refusal_stability.exchange.collected import Grid
from refusal_stability.exchange.collection import Collection
from refusal_stability.exchange.logged import LogError
from refusal_stability.files import generation_file
from refusal_stability.params.checks import SECTION, AtLeast1, Flag, Name, Share, Temperature, Text, parsed
from refusal_stability.params.judges import ModelJudging
from refusal_stability.params.metrics import MetricsParams
from refusal_stability.params.study import InterventionParams, Seed, StudyParams
from refusal_stability.records import Intervention, Message, Outcome, StudyError
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import GENERATION_TABLE, PROMPT_TABLE, prompts_of


@dataclass(config=SECTION)
class ExportedJudge:
    """One judge of the panel; `judged_once` as in the settings of recorded labels."""

    repeats: AtLeast1
    judged_once: Flag


@dataclass(config=SECTION)
class ExportedJudging:
    """The settings of `judging` that decide which labels count."""

    primary: Text
    blocked: Text
    degenerate: Text
    max_missing: Share
    by_model: dict[Text, ModelJudging]
    judges: dict[Name, ExportedJudge]


@dataclass(config=SECTION)
class ExportedPrompt:
    """A row of the study's table of prompts."""

    prompt_id: Text
    prompt: Text
    category: Text
    source: Text
    turns: Text
    harm: Text
    language: Text
    intent: Text


@dataclass(config=SECTION)
class ExportedStudy:
    """A study as its export describes it: everything in its own order; `models` gives each its label.

    `prompts` are the ids of all its prompts, and `unsampled` those that no model was asked. Exports of one study may
    hold different prompts.
    """

    study: Name
    models: dict[Name, Text | None]
    interventions: dict[Name, InterventionParams]
    temperatures: list[Temperature]
    seeds: list[Seed]
    judging: ExportedJudging
    metrics: MetricsParams
    judges_thinking: Flag = False
    prompts: list[Text] = field(default_factory=list, compare=False)
    unsampled: list[ExportedPrompt] = field(default_factory=list, compare=False)

    def intervention(self, name: str) -> Intervention:
        """The named intervention as the records speak of it."""
        chosen = self.interventions[name]
        return Intervention(name, chosen.system, tuple(Message(turn.role, turn.content) for turn in chosen.turns))

    def ordered(self, grid: Grid) -> Grid:
        """The names of a grid in the order of this study; those that it does not have are left out."""
        return Grid(
            [model for model in self.models if model in grid.models],
            [name for name in self.interventions if name in grid.interventions],
            [temperature for temperature in self.temperatures if temperature in grid.temperatures],
            [seed for seed in self.seeds if seed in grid.repeats],
        )

    def without_response(self, grid: Grid) -> list[str]:
        """What this study names and a grid lacks, since none of its responses was exported."""
        named: dict[str, tuple[Iterable[object], Iterable[object]]] = {
            "model": (self.models, grid.models),
            "intervention": (self.interventions, grid.interventions),
            "temperature": (self.temperatures, grid.temperatures),
            "seed": (self.seeds, grid.repeats),
        }
        return [f"{what} {one}" for what, (all_, there) in named.items() for one in all_ if one not in set(there)]


def study_description(params: StudyParams, prompts: pd.DataFrame) -> str:
    """The JSON text that describes a study and its table of `prompts` in each form of its export."""
    judging = params.judging
    panel = {name: judge for name, judge in judging.judges.items() if not judge.on_call}
    values = {
        "study": params.study,
        "models": {name: model.label for name, model in params.models.items()},
        "interventions": {name: asdict(chosen) for name, chosen in params.interventions.items()},
        "temperatures": params.sampling.temperatures,
        "seeds": params.sampling.seeds,
        "judging": {
            **{name: getattr(judging, name) for name in ("primary", "blocked", "degenerate", "max_missing")},
            "by_model": {name: asdict(own) for name, own in judging.by_model.items()},
            "judges": {
                name: {"repeats": judge.repeats, "judged_once": judging.labels_texts_once(name)}
                for name, judge in panel.items()
            },
        },
        "metrics": asdict(params.metrics),
        "judges_thinking": judging.thinking is not None,
        "prompts": prompts["prompt_id"].tolist(),
        "unsampled": _unsampled(params, prompts).to_dict("records"),
    }
    return json.dumps(values, ensure_ascii=False)


def _unsampled(params: StudyParams, prompts: pd.DataFrame) -> pd.DataFrame:
    """The prompts that no model was asked."""
    sampled: set[str] = set()
    for model in params.models:
        for condition in params.conditions(model):
            if sampled.issuperset(prompts["prompt_id"]):
                break
            table = read_table(generation_file(condition), GENERATION_TABLE)
            sampled.update(table.loc[table["outcome"] != Outcome.NOT_SAMPLED, "prompt_id"])
    return prompts.loc[~prompts["prompt_id"].isin(sampled), list(PROMPT_TABLE.columns)]


def study_in(place: str, text: str | None) -> ExportedStudy | None:
    """The study that an export describes; None where the text is absent, as in exports of older versions."""
    if text is None:
        return None
    try:
        values = json.loads(text)
        json.dumps(values, ensure_ascii=False).encode()  # no table of a study holds half a character
        study = parsed(ExportedStudy, values)
        prompts_of(_table(study.unsampled))
        return study
    except (TypeError, ValueError, RecursionError, StudyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise LogError(
            f"{place}: its description of the study is not as an export of this project writes it ({reason}); export "
            "again"
        ) from error


def _table(prompts: Iterable[ExportedPrompt]) -> pd.DataFrame:
    return pd.DataFrame([asdict(prompt) for prompt in prompts], columns=list(PROMPT_TABLE.columns))


def complete_prompts(collection: Collection, studies: Iterable[ExportedStudy | None]) -> None:
    """Give a collection all prompts of the studies that exports describe, in their order."""
    described = [study for study in studies if study is not None]
    unsampled = prompts_of(_table(prompt for study in described for prompt in study.unsampled))
    collection.complete_prompts([one for study in described for one in study.prompts], unsampled)


def only_study(found: Mapping[str, ExportedStudy | None], grid: Grid) -> ExportedStudy | None:
    """The one study that all responses of a grid are exported from, if there is one."""
    first, *others = found.values() or (None,)
    if first is None or any(other != first for other in others):
        return None
    return first if first.ordered(grid).sizes == grid.sizes else None


def grid_of(collection: Collection, exported: ExportedStudy | None) -> Grid:
    """What a collection holds, in the order of the study that it is exported from."""
    grid = collection.grid()
    return exported.ordered(grid) if exported else grid
