"""What an export says of its study beside the responses, so that an import gives the same tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from pydantic.dataclasses import dataclass

from refusal_stability.exchange.collected import Grid
from refusal_stability.exchange.collection import Collection
from refusal_stability.exchange.logged import LogError
from refusal_stability.params.checks import SECTION, AtLeast1, Flag, Name, ParamsError, Share, Temperature, Text, parsed
from refusal_stability.params.judges import ModelJudging
from refusal_stability.params.metrics import MetricsParams
from refusal_stability.params.study import InterventionParams, Seed, StudyParams
from refusal_stability.records import Intervention, Message


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
class ExportedStudy:
    """A study as its export describes it: everything in its own order; `models` gives each its label."""

    study: Name
    models: dict[Name, Text | None]
    interventions: dict[Name, InterventionParams]
    temperatures: list[Temperature]
    seeds: list[Seed]
    judging: ExportedJudging
    metrics: MetricsParams
    judges_thinking: Flag = False

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


def study_description(params: StudyParams) -> str:
    """The JSON text that describes a study in each form of its export."""
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
    }
    return json.dumps(values, ensure_ascii=False)


def study_in(place: str, text: str | None) -> ExportedStudy | None:
    """The study that an export describes; None where the text is absent, as in exports of older versions."""
    if text is None:
        return None
    try:
        return parsed(ExportedStudy, json.loads(text))
    except (TypeError, ValueError, RecursionError, ParamsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise LogError(
            f"{place}: its description of the study is not as an export of this project writes it ({reason}); export "
            "again"
        ) from error


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
