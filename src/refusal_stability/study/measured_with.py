"""Whether the metric tables of this folder were measured with the parameters that a command was given."""

from __future__ import annotations

import json
from pathlib import Path

from refusal_stability.files import METRICS, PARAMS_IN_FULL, SUMMARY, read_json
from refusal_stability.params.in_full import in_full
from refusal_stability.params.study import StudyParams
from refusal_stability.records import StudyError
from refusal_stability.study.side_settings import leaves, parameters_of
from refusal_stability.tables.metrics import metric_table

# The sections that change a number, a prompt or a response.
MEASURED = ("study", "interventions", "judging", "metrics", "models", "prompts", "sampling")
# Of these only that they differ is said: they may hold a login.
UNSHOWN = "url"


def check_measured_with(params: StudyParams, params_path: Path) -> None:
    """Refuse tables of another study, of other parameters, or of another grid of models and temperatures."""
    measured = read_json(SUMMARY).get("study")
    if measured != params.study:
        raise _refused(params_path, f"study is {measured!r} there, {params.study!r} here")
    table = metric_table("aggregate_by_temperature")
    found = set(table[["model", "intervention", "temperature"]].itertuples(index=False, name=None))
    asked = {(c.model, c.intervention, c.temperature) for model in params.models for c in params.conditions(model)}
    if found != asked:
        for what, cells in (("has", found - asked), ("lacks", asked - found)):
            if cells:
                model, intervention, temperature = min(cells)
                raise _refused(params_path, f"{what} {model}, intervention {intervention}, temperature {temperature:g}")
    recorded = {key: value for key, value in parameters_of(Path()).items() if key.partition("/")[0] in MEASURED}
    plain = json.loads(json.dumps(in_full(params)))
    ours = {key: value for section in MEASURED for key, value in leaves(plain[section], section)}
    for key in sorted({*recorded, *ours}) if recorded else ():
        if recorded.get(key) != ours.get(key):
            values = f" is {json.dumps(recorded.get(key))} there, {json.dumps(ours.get(key))} here"
            raise _refused(params_path, key + (" differs" if UNSHOWN in key.rpartition("/")[2] else values))


def _refused(params_path: Path, difference: str) -> StudyError:
    return StudyError(
        f"{params_path}: {METRICS} was not measured with these parameters ({difference}; see {PARAMS_IN_FULL}); make "
        "them active, run `dvc repro`, and repeat the command"
    )
