"""The runs that MLflow should show: one for each model and intervention, then temperatures, then seeds under it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from shutil import copyfile
from typing import Any

import pandas as pd

from refusal_stability.files import PROMPTS, generation_file, label_file
from refusal_stability.records import Condition, StudyError
from refusal_stability.tracking import response_tables
from refusal_stability.tracking.described import (
    as_markdown,
    machine_tags,
    origin,
    run_name,
    run_params,
    run_tags,
    speed_metrics,
)
from refusal_stability.tracking.forecasts import forecast_metrics
from refusal_stability.tracking.identity import cell_of, rubric_hashes
from refusal_stability.tracking.metric_rows import (
    metrics_of,
    only_row,
    row_over_all,
    rows_of,
    table_hash,
    value_with_bounds,
)
from refusal_stability.tracking.previews import excerpt, write_preview
from refusal_stability.tracking.run_plan import RunPlan
from refusal_stability.tracking.tracked_study import TrackedStudy

LEVELS = ("model", "temperature", "run")
OUTCOMES = "outcomes_by_configuration"  # without rows in a study of labels only
NEEDED = ("aggregate_by_model", "aggregate_by_temperature", "aggregate_by_configuration", "per_prompt_metrics")
PROMPT_FACTS = ("prompt_id", "category", "majority", "ssi")
# What a run shows of the runs above it, beside its own figures.
SAME_FOR_ALL = ("mean_ssi",)


def run_plans(study: TrackedStudy) -> list[RunPlan]:
    """Every run of a study, each before those under it, in the order of the parameters."""
    plans = []
    # A run's artifacts need its rows several times, one after the other.
    joined = lru_cache(1)(partial(_with_majority, study))
    for name in NEEDED:
        if name not in study.tables:
            raise StudyError(f"data/metrics/{name}.csv: no such file; run `make metrics`")
    for model in study.params.models:
        conditions = list(study.params.conditions(model))
        for intervention in study.params.interventions:
            branch = _Branch.of(study, model, intervention, joined)
            plans.append(branch.plan_model())
            for temperature in study.params.sampling.temperatures:
                chosen = [c for c in conditions if c.intervention == intervention and c.temperature == temperature]
                plans.append(branch.plan_temperature(temperature, chosen))
                plans += map(branch.plan_seed, chosen)
    return plans


def tracked_summary(study: TrackedStudy, plans: Iterable[RunPlan]) -> dict[str, Any]:
    """What was logged: no run ids, times or places, so that equal studies give equal files."""
    runs = [{"name": p.name, "level": p.level, "cell": p.cell, "content": p.content} for p in plans]
    return {"experiment": study.params.study, "study_digest": study.digest, "runs": runs}


@dataclass(frozen=True)
class _Branch:
    """A model with an intervention: the study, and the rows of its tables that are about this one."""

    study: TrackedStudy
    model: str
    intervention: str
    tables: Mapping[str, pd.DataFrame]
    facts_hash: str
    joined: Callable[[Condition], pd.DataFrame]

    @classmethod
    def of(
        cls, study: TrackedStudy, model: str, intervention: str, joined: Callable[[Condition], pd.DataFrame]
    ) -> _Branch:
        found = {name: rows_of(table, model, intervention) for name, table in study.tables.items()}
        tables = {name: table for name, table in found.items() if len(table)}
        facts = found["per_prompt_metrics"][list(PROMPT_FACTS)]
        return cls(study, model, intervention, tables, table_hash(facts), joined)

    def plan_model(self) -> RunPlan:
        tables, attachments, sampling = self.tables, self.study.attachments, self.study.params.sampling
        row, change = only_row(tables, "aggregate_by_model"), row_over_all(tables, "interventions")
        outcomes = row_over_all(tables, "outcomes")
        note = (
            f"**{as_markdown(self._name())}**: {int(row['n_prompts'])} prompts at temperatures "
            f"{_listed(sampling.temperatures)} with seeds {_listed(sampling.seeds)}; a child run for each temperature, "
            f"and under it one for each seed.\n\n{_stability(row)}{_against(change)}\n"
            "Artifacts: `prompts.json` (decisions by prompt), `figures/` (whole study), `tables/` (this model), "
            "`params.yaml`, `provenance.json`."
        )

        def write(folder: Path) -> None:
            for place, file in attachments.items():
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                copyfile(file, folder / place)
            for name, table in tables.items():
                write_preview(table, folder / "tables" / f"{name}.csv")

        return self._plan(
            (),
            note=note,
            metrics=metrics_of("aggregate_by_model", row)
            | metrics_of("outcomes", outcomes)
            | metrics_of("interventions", change)
            | _measured_once(tables, "intents")
            | _measured_once(tables, "adaptive")
            | forecast_metrics(tables),
            outcomes=outcomes,
            inputs={place: self.study.hashes[file] for place, file in attachments.items()}
            | {name: table_hash(table) for name, table in tables.items()},
            machine_metrics=speed_metrics(self.study, self.model),
            write=write,
            responses=lambda: response_tables.of_model(tables["per_prompt_metrics"], self.study.prompts),
        )

    def plan_temperature(self, temperature: float, conditions: Sequence[Condition]) -> RunPlan:
        row = only_row(self.tables, "aggregate_by_temperature", temperature=temperature)
        outcomes = row_over_all(self.tables, "outcomes", temperature=temperature)
        change = row_over_all(self.tables, "interventions", temperature=temperature)
        name = self._name(temperature)
        seeds = _listed([c.seed for c in conditions])
        note = (
            f"**{as_markdown(name)}**: {int(row['n_prompts'])} prompts with seeds {seeds}; a child run for each seed."
            f"\n\n{_stability(row)}{_against(change)}\n"
            "Artifacts: `prompts.json`: each prompt's decisions and responses (unfiltered model output)."
        )
        files = {file for c in conditions for file in (generation_file(c), label_file(c))}
        return self._plan(
            (temperature,),
            note=note,
            metrics=metrics_of("aggregate_by_temperature", row)
            | metrics_of("outcomes", outcomes)
            | metrics_of("interventions", change)
            | metrics_of("aggregate_by_model", only_row(self.tables, "aggregate_by_model"), SAME_FOR_ALL),
            outcomes=outcomes,
            inputs={file.as_posix(): self.study.hashes[file] for file in sorted(files)},
            responses=lambda: response_tables.of_temperature(
                {c.seed: self.study.rows(c) for c in conditions}, self.study.prompts
            ),
        )

    def plan_seed(self, condition: Condition) -> RunPlan:
        place = {"temperature": condition.temperature, "seed": condition.seed}
        row = only_row(self.tables, "aggregate_by_configuration", **place)
        at_temperature = only_row(self.tables, "aggregate_by_temperature", temperature=condition.temperature)
        outcomes = row_over_all(self.tables, OUTCOMES, **place)
        name = self._name(condition.temperature, condition.seed)
        note = (
            f"**{as_markdown(name)}**: {int(row['n_responses'])} decisions, {int(row['n_missing'])} missing.\n\n"
            f"- {value_with_bounds(row, 'agreement')} of them are the prompt's majority over all configurations\n"
            f"- {int(row['n_flips_caused'])} prompts flip because of this configuration alone\n\n"
            "Artifacts: `prompts.json`: each prompt's decision and response (unfiltered model output); "
            "`against_majority.csv`: those against the majority; `run.png`, `decisions.csv`."
        )

        def write(folder: Path) -> None:
            rows = self.joined(condition)
            (folder / "run.png").write_bytes(self.study.draw(rows, name))
            write_preview(rows.drop(columns="response"), folder / "decisions.csv")
            against = rows[(rows["decision"] != "") & (rows["decision"] != rows["majority"])]
            write_preview(against.assign(response=against["response"].map(excerpt)), folder / "against_majority.csv")

        return self._plan(
            (condition.temperature, condition.seed),
            note=note,
            metrics={
                # MLflow's comparison page opens on the first metric.
                **metrics_of("aggregate_by_temperature", at_temperature, SAME_FOR_ALL),
                **metrics_of("aggregate_by_configuration", row),
                **metrics_of(OUTCOMES, outcomes),
                **metrics_of("aggregate_by_model", only_row(self.tables, "aggregate_by_model"), SAME_FOR_ALL),
            },
            outcomes=outcomes,
            inputs={"per_prompt_metrics": self.facts_hash},
            data_files={"responses": generation_file(condition), "labels": label_file(condition)},
            write=write,
            responses=lambda: response_tables.of_configuration(self.joined(condition), self.study.prompts),
        )

    def _plan(
        self,
        place: Sequence[float],
        note: str,
        metrics: Mapping[str, float],
        outcomes: pd.Series[Any] | None,
        inputs: Mapping[str, str],
        responses: Callable[[], pd.DataFrame],
        write: Callable[[Path], None] = lambda folder: None,
        machine_metrics: Mapping[str, float] | None = None,
        data_files: Mapping[str, Path] | None = None,
    ) -> RunPlan:
        """The plan of a run at a `place` of the grid: nothing, a temperature, or a temperature and a seed."""
        study, model = self.study, self.model
        files = {"prompts": PROMPTS, **(data_files or {})}
        hashes = {file.as_posix(): study.hashes[file] for file in files.values()}
        hashes |= rubric_hashes(study.params.judging.of(model))

        def write_all(folder: Path) -> None:
            write(folder)
            text = json.dumps(origin(study, model, hashes), indent=1, ensure_ascii=False)
            (folder / "provenance.json").write_text(f"{text}\n", encoding="utf-8")

        return RunPlan(
            name=self._name(*place),
            cell=self._cell(*place),
            parent=self._cell(*place[:-1]) if place else None,
            params=run_params(study, model, self.intervention)
            | dict(zip(("temperature", "seed"), map(_number, place), strict=False)),
            metrics=metrics,
            tags=run_tags(study, LEVELS[len(place)], model, outcomes),
            note=note,
            data_files=files,
            inputs={**inputs, **hashes},
            machine_metrics=machine_metrics or {},
            machine_tags=machine_tags(study, model),
            write=write_all,
            responses=responses,
        )

    def _name(self, *place: float) -> str:
        at = [f"{short}={_number(value)}" for short, value in zip(("T", "seed"), place, strict=False)]
        return " ".join([run_name(self.study.params, self.model, self.intervention), *at])

    def _cell(self, *place: float) -> str:
        return cell_of(self.study.params, self.study.prompts_hash, self.model, self.intervention, *place)


def _with_majority(study: TrackedStudy, condition: Condition) -> pd.DataFrame:
    """A configuration's rows with what is known of each prompt over all configurations."""
    facts = rows_of(study.tables["per_prompt_metrics"], condition.model, condition.intervention)[list(PROMPT_FACTS)]
    columns = ["prompt_id", "decision", "majority", "response", "ssi", "category"]
    return study.rows(condition).merge(facts, on="prompt_id", how="left", validate="one_to_one")[columns]


def _measured_once(tables: Mapping[str, pd.DataFrame], name: str) -> dict[str, float]:
    return metrics_of(name, only_row(tables, name)) if name in tables else {}


def _stability(row: pd.Series[Any]) -> str:
    return (
        f"- mean SSI {value_with_bounds(row, 'mean_ssi')}\n"
        f"- {value_with_bounds(row, 'pct_flipped')} % of the prompts got more than one decision\n"
    )


def _against(change: pd.Series[Any] | None) -> str:
    """The note's line on the intervention; nothing for a control."""
    if change is None:
        return ""
    p = change["mean_difference_p_holm"]
    shown = "" if pd.isna(p) else f", p {p:.3f} after Holm's correction"
    return (
        f"- against {as_markdown(change['control'])}, over {int(change['n_pairs'])} prompts: mean SSI changes by "
        f"{value_with_bounds(change, 'mean_difference')}{shown}\n"
    )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(map(_number, values))


def _number(value: float) -> str:
    """A temperature in its shortest form; a seed with all its digits."""
    return f"{value:g}" if isinstance(value, float) else str(value)
