"""Read and check `params.yaml`."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.params.checks import ParamsError, check_name, require, typed
from refusal_stability.params.engines import check_model
from refusal_stability.params.judges import MAJORITY, JudgeParams, check_judging
from refusal_stability.params.metrics import check_metrics
from refusal_stability.params.prompts import check_prompts
from refusal_stability.params.reference_models import check_reference
from refusal_stability.params.study import StudyParams, check_interventions, check_sampling

PARAMS_FILE = Path("params.yaml")


def load_params(path: Path = PARAMS_FILE) -> StudyParams:
    """Read and check a study's parameters; raises `ParamsError` naming the first key that is wrong."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if not path.is_file():
        raise ParamsError(f"{path}: no such file; make a study active with `make study NAME=quickstart`")
    try:
        raw = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ParamsError(f"{path}: not readable as YAML: {reason}; compare it with studies/quickstart.yaml") from error
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: expected keys and values, found {type(raw).__name__}")
    params = typed(StudyParams, raw, f"{path}: ")
    if params.judging.primary == MAJORITY:
        params.judging.judges.setdefault(MAJORITY, JudgeParams(kind="majority"))
    check(params, str(path))
    return params


def check(params: StudyParams, where: str) -> None:
    """Ranges, duplicates and references that types alone cannot hold."""
    check_name(params.study, f"{where}: study")
    check_prompts(params.prompts, f"{where}: prompts")
    check_interventions(params.interventions, f"{where}: interventions")
    check_sampling(params.sampling, f"{where}: sampling")
    require(bool(params.models), f"{where}: models", "{}", "at least one model")
    for name, model in params.models.items():
        check_name(name, f"{where}: models.{name}")
        check_model(model, f"{where}: models.{name}")
    check_judging(params.judging, f"{where}: judging", list(params.models))
    check_metrics(params.metrics, f"{where}: metrics")
    for name, reference in params.reference_models.items():
        check_name(name, f"{where}: reference_models.{name}")
        check_reference(reference, f"{where}: reference_models.{name}")
