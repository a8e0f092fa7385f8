"""Read and check `params.yaml`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from refusal_stability.params.checks import ParamsError, check_texts, parsed, require
from refusal_stability.params.study import StudyParams
from refusal_stability.params.yaml_size import too_much

PARAMS_FILE = Path("params.yaml")
_texts: dict[Path, str] = {}


def load_params(path: Path = PARAMS_FILE) -> StudyParams:
    """Read and check a study's parameters; raises `ParamsError` naming the first key that is wrong."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if not path.is_file():
        raise ParamsError(f"{path}: no such file; make a study active with `make study NAME=quickstart`")
    try:
        _texts[path] = text = path.read_text(encoding="utf-8-sig")
        if said := too_much(text):
            raise ParamsError(f"{path}: {said}; compare it with studies/quickstart.yaml")
        values = OmegaConf.to_container(OmegaConf.load(StringIO(text)), resolve=False)
    except ParamsError:
        raise
    except OSError as error:
        if error.errno is None:
            # OmegaConf's, for a file that holds one text or number.
            raise ParamsError(f"{path}: expected keys and values; compare it with studies/quickstart.yaml") from error
        raise ParamsError(f"{path}: could not be read ({error.strerror or error}); check its permissions") from error
    except (YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ParamsError(f"{path}: not readable as YAML: {reason}; compare it with studies/quickstart.yaml") from error
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: expected keys and values, found {type(values).__name__}")
    try:
        check_texts(values)
        params = parsed(StudyParams, values)
        require(params.models, "models", params.models, "at least one model")
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from error
    return params


def text_read(path: Path) -> str:
    """The text of a parameter file as `load_params` last read it: an edit since then is not in it."""
    return _texts[path]
