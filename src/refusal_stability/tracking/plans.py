"""The runs that MLflow should show, as plain data: names, parameters, metrics, notes and artifacts.

Every number is a cell of a metric table, rounded; no statistic is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import pandas as pd

from refusal_stability.files import generation_file, label_file
from refusal_stability.params.study import StudyParams
from refusal_stability.records import NO_INTERVENTION, Condition, StudyError, content_hash
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.metrics import METRIC_TABLES
from refusal_stability.tracking.forecasts import forecast_metrics
from refusal_stability.tracking.identity import cell_of, rubric_tags
from refusal_stability.tracking.previews import excerpt, write_preview
from refusal_stability.tracking.tracked_study import TrackedStudy

# Raise this when runs must be logged again although their inputs are unchanged, e.g. for another drawing.
LAYOUT = 1
DIGITS = 4
MARKUP = re.compile(r"[\\`*_{}\[\]()<>#!|~@&:$]")
# The metric tables that runs are made of. All other tables go with the parent runs.
OUTCOMES = "outcomes_by_configuration"  # without rows in a study of labels only
NEEDED = ("aggregate_by_model", "aggregate_by_temperature", "aggregate_by_configuration", "per_prompt_metrics")
SAMPLED_WITH = ("top_p", "top_k", "max_tokens")
PROMPT_FACTS = ("prompt_id", "category", "majority", "ssi")
BOUNDS = ("", "_low", "_high")
# What `{scope}` of a column's metric is, by table.
SCOPES = {"aggregate_by_model": "pooled", "aggregate_by_temperature": "within_T"}
# What a run shows of its model and temperature, beside its own figures.
SAME_FOR_ALL = ("mean_ssi",)


@dataclass(frozen=True)
class RunPlan:
    """One run as it should be in MLflow.

    Attributes
    ----------
    cell : the run's identity; plans with the same cell are versions of one run.
    parent : the parent run's cell; None for a parent.
    inputs : hashes of whatever else `write` puts into the artifacts.
    machine_metrics, machine_tags : true of this machine and moment (speed, versions, git commit). A difference in
        these alone does not log a run again.
    write : writes the artifacts into a folder.
    """

    name: str
    cell: str
    parent: str | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    inputs: Mapping[str, str]
    machine_metrics: Mapping[str, float]
    machine_tags: Mapping[str, str]
    write: Callable[[Path], None]

    @property
    def content(self) -> str:
        """A digest of all that is logged of the study itself."""
        logged = (self.params, self.metrics, self.tags, self.inputs)
        return content_hash([LAYOUT, self.name, *map(dict, logged)])[:16]


def run_plans(study: TrackedStudy) -> list[RunPlan]:
    """Every run of a study, each parent before its children, in the order of the parameters."""
    plans = []
    for model in study.params.models:
        conditions = list(study.params.conditions(model))
        for intervention in study.params.interventions:
            parent = _plan_model(study, model, intervention)
            plans.append(parent)
            mine = {name: _of(_needed(study, name), model, intervention) for name in NEEDED}
            if OUTCOMES in study.tables:
                mine[OUTCOMES] = _of(study.tables[OUTCOMES], model, intervention)
            inputs = {"per_prompt_metrics": _table_hash(mine["per_prompt_metrics"][list(PROMPT_FACTS)])}
            chosen = [c for c in conditions if c.intervention == intervention]
            plans += [_plan_run(study, c, parent.cell, mine, inputs) for c in chosen]
    return plans


def tracked_summary(study: TrackedStudy, plans: Iterable[RunPlan]) -> dict[str, Any]:
    """What was logged: no run ids, times or places, so that equal studies give equal files."""
    runs = [{"name": p.name, "level": p.tags["level"], "cell": p.cell, "content": p.content} for p in plans]
    return {"experiment": study.params.study, "study_digest": study.digest, "runs": runs}


def _plan_model(study: TrackedStudy, model: str, intervention: str) -> RunPlan:
    tables = {name: _of(table, model, intervention) for name, table in study.tables.items()}
    tables = {name: table for name, table in tables.items() if len(table)}
    row, change = _only(tables, "aggregate_by_model"), _change(tables)
    name, sampling = _name(study.params, model, intervention), study.params.sampling
    note = (
        f"**{_as_markdown(name)}**: {int(row['n_prompts'])} prompts at temperatures {_listed(sampling.temperatures)} "
        f"with seeds {_listed(sampling.seeds)}; a child run for each temperature and seed.\n\n"
        f"- mean SSI {_with_bounds(row, 'mean_ssi')}\n"
        f"- {_with_bounds(row, 'pct_flipped')} % of the prompts got more than one decision\n{_against(change)}\n"
        "Artifacts: `figures/` (whole study), `tables/` (this model), `params.yaml`."
    )

    def write(folder: Path) -> None:
        for place, file in study.attachments.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            copyfile(file, folder / place)
        for table_name, table in tables.items():
            write_preview(table, folder / "tables" / f"{table_name}.csv")

    return RunPlan(
        name=name,
        cell=cell_of(study.params, study.prompts_hash, model, intervention),
        parent=None,
        params=_params(study, model, intervention),
        metrics=_measured("aggregate_by_model", row)
        | _outcomes(tables, "outcomes")
        | _changes(change)
        | _measured_once(tables, "intents")
        | _measured_once(tables, "adaptive")
        | forecast_metrics(tables),
        tags=_tags(study, "model", model, note) | _unseeded(tables, "outcomes"),
        inputs={place: study.hashes[file] for place, file in study.attachments.items()}
        | {table_name: _table_hash(table) for table_name, table in tables.items()},
        machine_metrics=_speed(study, model),
        machine_tags=_machine(study, model),
        write=write,
    )


def _change(tables: Mapping[str, pd.DataFrame]) -> pd.Series[Any] | None:
    """What the intervention changes over all temperatures; None for a control."""
    table = tables.get("interventions", pd.DataFrame())
    return None if table.empty else _only({"interventions": table[table["temperature"].isna()]}, "interventions")


def _changes(change: pd.Series[Any] | None) -> dict[str, float]:
    return {} if change is None else _measured("interventions", change)


def _measured_once(tables: Mapping[str, pd.DataFrame], name: str) -> dict[str, float]:
    return _measured(name, _only(tables, name)) if name in tables else {}


def _against(change: pd.Series[Any] | None) -> str:
    """The note's line on the intervention; nothing for a control."""
    if change is None:
        return ""
    p = change["mean_difference_p_holm"]
    shown = "" if pd.isna(p) else f", p {p:.3f} after Holm's correction"
    return (
        f"- against {_as_markdown(change['control'])}, over {int(change['n_pairs'])} prompts: mean SSI changes by "
        f"{_with_bounds(change, 'mean_difference')}{shown}\n"
    )


def _plan_run(
    study: TrackedStudy, condition: Condition, parent: str, mine: Mapping[str, pd.DataFrame], inputs: Mapping[str, str]
) -> RunPlan:
    model, intervention = condition.model, condition.intervention
    row = _only(mine, "aggregate_by_configuration", temperature=condition.temperature, seed=condition.seed)
    at_temperature = _only(mine, "aggregate_by_temperature", temperature=condition.temperature)
    name = f"{_name(study.params, model, intervention)} T={condition.temperature:g} seed={condition.seed}"
    note = (
        f"**{_as_markdown(name)}**: {int(row['n_responses'])} decisions, {int(row['n_missing'])} missing.\n\n"
        f"- {_with_bounds(row, 'agreement')} of them are the prompt's majority over all configurations\n"
        f"- {int(row['n_flips_caused'])} prompts flip because of this configuration alone\n\n"
        "Artifacts: `run.png`, `decisions.csv`, and `against_majority.csv`: the decisions against the majority, with "
        "the responses (unfiltered model output)."
    )

    def write(folder: Path) -> None:
        rows = _with_majority(study.rows(condition), mine["per_prompt_metrics"])
        (folder / "run.png").write_bytes(study.draw(rows, name))
        write_preview(rows.drop(columns="response"), folder / "decisions.csv")
        against = rows[(rows["decision"] != "") & (rows["decision"] != rows["majority"])]
        write_preview(against.assign(response=against["response"].map(excerpt)), folder / "against_majority.csv")

    return RunPlan(
        name=name,
        cell=cell_of(study.params, study.prompts_hash, model, intervention, condition.temperature, condition.seed),
        parent=parent,
        params=_params(study, model, intervention)
        | {"temperature": f"{condition.temperature:g}", "seed": str(condition.seed)},
        metrics={
            # MLflow's comparison page opens on the first metric.
            **_measured("aggregate_by_temperature", at_temperature, SAME_FOR_ALL),
            **_measured("aggregate_by_configuration", row),
            **_outcomes(mine, OUTCOMES, temperature=condition.temperature, seed=condition.seed),
            **_measured("aggregate_by_model", _only(mine, "aggregate_by_model"), SAME_FOR_ALL),
        },
        tags=_tags(study, "run", model, note)
        | _unseeded(mine, OUTCOMES, temperature=condition.temperature, seed=condition.seed)
        | {
            "generations_md5": study.hashes[generation_file(condition)],
            "labels_md5": study.hashes[label_file(condition)],
        },
        inputs=inputs,
        machine_metrics={},
        machine_tags=_machine(study, model),
        write=write,
    )


def _name(params: StudyParams, model: str, intervention: str) -> str:
    label = " ".join((params.models[model].label or model).split())
    return label if intervention == NO_INTERVENTION else f"{label} + {intervention}"


def _as_markdown(name: str) -> str:
    """A name that Markdown shows unchanged: characters of markup become entities."""
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", name)


def _params(study: TrackedStudy, model: str, intervention: str) -> dict[str, str]:
    chosen, sampling = study.params.models[model], study.params.sampling
    values: dict[str, object] = {
        "model": model,
        "intervention": intervention,
        # The study does not know how a recorded model was sampled.
        **({key: getattr(sampling, key) for key in SAMPLED_WITH} if chosen.settings_class.samples else {}),
        "prompts": len(study.prompts),
        "prompt_source": study.params.prompts.source,
        "judge": study.params.judging.of(model).primary,
        "engine": chosen.engine,
        "revision": chosen.revision,
        "stopping_rule": next(iter(sampling.adaptive), None),
    }
    return {key: f"{v:g}" if isinstance(v, float) else str(v) for key, v in values.items() if v is not None}


def _tags(study: TrackedStudy, level: str, model: str, note: str) -> dict[str, str]:
    return {
        "study": study.params.study,
        "level": level,
        # A tag, not a parameter: as a parameter it would take an axis of the comparison page.
        "model_path": study.params.models[model].path,
        "prompts_md5": study.prompts_hash,
        **rubric_tags(study.params.judging.of(model)),
        **({"estimated": "true"} if study.params.sampling.adaptive else {}),
        "mlflow.note.content": note,
    }


def _unseeded(tables: Mapping[str, pd.DataFrame], name: str, **place: float) -> dict[str, str]:
    """The tag of a run some of whose responses were drawn without a seed."""
    row = _counted(tables, name, **place)
    return {} if row is None or not row["n_unseeded"] else {"unseeded": f"{row['n_unseeded']} of {row['n_asked']}"}


def _speed(study: TrackedStudy, model: str) -> dict[str, float]:
    """The model's generation speed over its whole grid: the store times all interventions of a session together."""
    speed = study.speed.get(model)
    if speed is None:
        return {}
    metrics = {"speed/model_tokens": float(speed.tokens), "speed/model_seconds": round(speed.seconds, 1)}
    if speed.seconds > 0:
        metrics["speed/tokens_per_second"] = round(speed.tokens / speed.seconds, 1)
    return metrics


def _machine(study: TrackedStudy, model: str) -> dict[str, str]:
    speed = study.speed.get(model)
    described = {str(key): str(value) for key, value in speed.description.items()} if speed else {}
    return {**study.provenance.get(model, {}), **described}


def _of(table: pd.DataFrame, model: str, intervention: str) -> pd.DataFrame:
    """A metric table's rows about one model and intervention, on either side of a comparison."""
    if "model" in table:
        return table[(table["model"] == model) & (table["intervention"] == intervention)]
    a = (table["model_a"] == model) & (table["intervention_a"] == intervention)
    return table[a | ((table["model_b"] == model) & (table["intervention_b"] == intervention))]


def _needed(study: TrackedStudy, name: str) -> pd.DataFrame:
    if name not in study.tables:
        raise StudyError(f"data/metrics/{name}.csv: no such file; run `make metrics`")
    return study.tables[name]


def _only(tables: Mapping[str, pd.DataFrame], name: str, **place: float) -> pd.Series[Any]:
    table = tables.get(name, pd.DataFrame())
    for column, value in place.items():
        table = table[table[column] == value]
    if len(table) != 1:
        where = ", ".join(f"{column} {value:g}" for column, value in place.items()) or "one of the study's models"
        raise StudyError(
            f"data/metrics/{name}.csv: {len(table)} rows for {where}, expected one. The tables are from another study: "
            "run `make metrics`"
        )
    return table.iloc[0]


def _measured(table: str, row: pd.Series[Any], only: Sequence[str] = ()) -> dict[str, float]:
    """A row's numbers as metrics, rounded: those with intervals first. Undefined ones are left out."""
    columns = [COLUMNS[name] for name in METRIC_TABLES[table][1].columns if name in COLUMNS]
    logged = [column for column in columns if column.mlflow and (not only or column.name in only)]
    logged.sort(key=lambda column: not column.over)
    cells = {
        f"{column.mlflow.format(scope=SCOPES.get(table, ''))}{end}": row[f"{column.name}{end}"]
        for column in logged
        for end in BOUNDS
        if f"{column.name}{end}" in row
    }
    return {metric: round(float(value), DIGITS) for metric, value in cells.items() if pd.notna(value)}


def _outcomes(tables: Mapping[str, pd.DataFrame], name: str, **place: float) -> dict[str, float]:
    """How many responses had each outcome, at a place or over all temperatures; nothing where it is not known."""
    row = _counted(tables, name, **place)
    return {} if row is None else _measured(name, row)


def _counted(tables: Mapping[str, pd.DataFrame], name: str, **place: float) -> pd.Series[Any] | None:
    """The counts of responses at a place or over all temperatures; None where they are not known."""
    table = tables.get(name, pd.DataFrame())
    if table.empty:
        return None
    return _only({name: table if place else table[table["temperature"].isna()]}, name, **place)


def _with_bounds(row: pd.Series[Any], column: str) -> str:
    value, low, high = (row[f"{column}{end}"] for end in BOUNDS)
    if pd.isna(value):
        return "(not defined)"
    digits = COLUMNS[column].decimals
    shown = f"{value:.{digits}f}"
    return shown if pd.isna(low) or pd.isna(high) else f"{shown} ({low:.{digits}f} to {high:.{digits}f})"


def _with_majority(rows: pd.DataFrame, per_prompt: pd.DataFrame) -> pd.DataFrame:
    facts = per_prompt[list(PROMPT_FACTS)]
    columns = ["prompt_id", "decision", "majority", "response", "ssi", "category"]
    return rows.merge(facts, on="prompt_id", how="left", validate="one_to_one")[columns]


def _table_hash(table: pd.DataFrame) -> str:
    return content_hash(table.to_csv(index=False))


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
