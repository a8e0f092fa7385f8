"""`refusal-stability init`: write a commented parameter file for a study of one's own, from flags or a few answers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from refusal_stability.engines.http.models_list import needed_variables
from refusal_stability.engines.http.presets import has_address, preset_names
from refusal_stability.files import atomic_write
from refusal_stability.params.active_study import PARAMS_BEFORE
from refusal_stability.params.checks import ParamsError
from refusal_stability.params.engines import engine_settings
from refusal_stability.params.load import load_params
from refusal_stability.params.prompts import ABOUT
from refusal_stability.params.study import StudyParams
from refusal_stability.records import StudyError
from refusal_stability.tables.user_files import first_columns

WATCHED = Path("data/raw")
# Names under which people keep the request, besides `prompt`.
PROMPT_COLUMNS = ("prompt", "question", "request", "text", "goal", "instruction", "input", "query")
ALSO_TAKEN = ("id", "category", *ABOUT)


@dataclass(frozen=True)
class Answers:
    """What a study needs to be told; None or empty stands for the default."""

    model: str
    base_url: str | None = None
    preset: str | None = None
    api_key_env: str | None = None
    prompts: Path | None = None
    column: str | None = None
    study: str = "mine"

    @property
    def served(self) -> bool:
        """Whether a server answers."""
        return bool(self.base_url or self.preset)


def run(answers: Answers | None, path: Path, force: bool) -> None:
    """Write `path`, and say what is in it. Without answers, they are asked for on the terminal."""
    if path.exists() and not force:
        raise StudyError(
            f"{path}: is there already; add --force to replace it (it is kept as {PARAMS_BEFORE.name}), or name "
            "another file with --params"
        )
    if answers is None:
        if not sys.stdin.isatty():
            raise StudyError("init: no model is named; give --model, and --base-url or --preset if a server runs it")
        answers = _asked_on_terminal()
    if not answers.model.strip():
        raise StudyError("init: --model is blank; give the model's name, folder, .gguf file or Hugging Face id")
    if answers.api_key_env and not answers.served:
        raise StudyError("init: --api-key-env is for a server; name it by --base-url or --preset, or leave the key out")
    if answers.column and answers.prompts is None:
        raise StudyError("init: --column names a column of a file; give the file by --prompts, or leave --column out")
    if answers.preset and not answers.base_url and not has_address(answers.preset):
        raise StudyError(f"init: the preset {answers.preset} has no address of its own; give it by --base-url")
    text = _study_text(answers)
    params = _checked(text, path)
    if path.exists():
        path.replace(path.with_name(PARAMS_BEFORE.name))
    with atomic_write(path) as file:
        file.write(text)
    _say(answers, params, path)


def _asked_on_terminal() -> Answers:
    try:
        return asked()
    except (EOFError, KeyboardInterrupt) as error:
        raise StudyError("init: not all questions were answered, so nothing was written") from error


def asked(ask: Callable[[str], str] = input) -> Answers:
    """The answers of somebody at the terminal; an empty one takes the default."""
    model = ""
    while not model:
        model = ask("Model (its name at the server, a folder, a .gguf file, or a Hugging Face id): ").strip()
    base_url = ask("Server's address, such as http://127.0.0.1:8000/v1 (empty: run the model here): ").strip()
    preset = ""
    if not base_url:
        preset = ask(f"Or a vendor: {', '.join(preset_names())} (empty: run the model here): ").strip()
    key = ask("Environment variable with the server's key (empty: none): ").strip() if base_url else ""
    prompts = ask("File with your prompts, CSV or JSONL (empty: the 84 built-in ones): ").strip()
    study = ask("Name of the study (empty: mine): ").strip()
    file = Path(prompts) if prompts else None
    return Answers(model, base_url or None, preset or None, key or None, file, None, study or "mine")


def _study_text(answers: Answers) -> str:
    """The parameter file: every line says what it is for."""
    return (
        "\n".join([*_head(answers), "", *_prompts(answers), "", *SAMPLING, "", *_model(answers), "", *JUDGING]) + "\n"
    )


def _head(answers: Answers) -> list[str]:
    return [
        "# The active study: every choice that can change a number. Written by `refusal-stability init`.",
        "# `refusal-stability plan` checks it and shows what it costs. A key that is left out takes its default.",
        f"study: {_quoted(answers.study)}  # its name in the report and in MLflow: lower-case letters, digits, - and _",
    ]


def _prompts(answers: Answers) -> list[str]:
    if answers.prompts is None:
        return [
            "prompts:  # what is asked; docs/data-card.md",
            "  source: builtin  # 84 bland prompts of this project; others: beavertails, advbench, harmbench, table",
            "  limit: null  # at most this many prompts; try a study with a few first",
        ]
    columns = _columns(answers.prompts, answers.column)
    watched = "" if answers.prompts.parent == WATCHED else f"; in {WATCHED}, DVC would notice a change of it"
    return [
        "prompts:  # what is asked; docs/data-card.md",
        "  source: table  # a file of your own",
        f"  path: {_quoted(str(answers.prompts))}  # relative to the project's folder{watched}",
        "  columns:  # our name: the file's name; known are prompt, id, category, harm, language, intent and others",
        *(f"    {ours}: {_quoted(theirs)}  # {COLUMNS_SAID[ours]}" for ours, theirs in columns.items()),
        "  limit: null  # at most this many prompts; try a study with a few first",
    ]


COLUMNS_SAID = {
    "prompt": "the request itself",
    "id": "names a prompt; each once",
    "category": "for the figures by category",
    "harm": "harmful, benign or empty",
    "language": "such as en",
    "intent": "what several phrasings of one request share",
}
SAMPLING = (
    "sampling:  # each prompt is asked at every temperature with every seed",
    "  temperatures: [0.0, 0.3, 0.7, 1.0]  # 0 always takes the likeliest word",
    "  seeds: [42, 43, 44, 45, 46]  # more seeds find rarer flips: temperatures x seeds responses a prompt",
    "  max_tokens: 256  # longer answers are cut here; a model that thinks first needs more",
)
JUDGING = (
    "judging:  # who labels a response REFUSE, PARTIAL or COMPLY; docs/judging.md",
    "  primary: rules  # the judge whose labels make the numbers",
    "  max_missing: 0.02  # fail if a larger share of the responses has no label",
    "  judges:  # each of them labels every response",
    "    rules:  # the judge's name",
    "      kind: rules  # free and explains itself, for English; others: model, trained, recorded",
)


def _columns(path: Path, column: str | None) -> dict[str, str]:
    """The file's columns by our names: the prompt's, and those that are called as we call them."""
    found = first_columns(path)
    by_name = {name.casefold(): name for name in found} | {name: name for name in found}
    known = next((by_name[name] for name in PROMPT_COLUMNS if name in by_name), None)
    chosen = column or known or (found[0] if len(found) == 1 else None)
    if chosen not in found:
        wrong = f"no column {chosen!r}" if chosen else "no column is called `prompt`"
        raise StudyError(f"{path}: {wrong}; name the one with the prompts by --column; found {', '.join(found)}")
    return {"prompt": chosen} | {
        name: by_name[name] for name in ALSO_TAKEN if name in by_name and by_name[name] != chosen
    }


def _model(answers: Answers) -> list[str]:
    name = re.sub(r"[^a-z0-9_-]+", "-", answers.model.lower().rstrip("/").rsplit("/", 1)[-1]).strip("-_") or "model"
    lines = [
        "models:  # one or more; docs/engines.md",
        f"  {_quoted(name)}:  # its name in files, tables and MLflow",
    ]
    if not answers.served:
        return [
            *lines,
            "    engine: transformers  # runs here, on a GPU if there is one",
            f"    path: {_quoted(answers.model)}  # a folder, a .gguf file, or a Hugging Face id",
            "    settings:  # of this engine",
            "      dtype: float32  # exact on a CPU; bfloat16 or float16 on a GPU",
            "      batch_size: 32  # rows at once; lower it if memory runs out",
        ]
    settings = [f"      preset: {answers.preset}  # this vendor's address and fields"] if answers.preset else []
    if answers.base_url:
        settings.append(f"      base_url: {_quoted(answers.base_url)}  # the server's address; mostly ends in /v1")
    if answers.api_key_env:
        settings.append(f"      api_key_env: {_quoted(answers.api_key_env)}  # the variable that holds the key")
    return [
        *lines,
        "    engine: openai  # any server that speaks this API",
        f"    path: {_quoted(answers.model)}  # the model's name at the server",
        "    settings:  # of this server",
        *settings,
        "      concurrency: 8  # requests at once",
        "      max_requests: null  # stop a run that would send more than this",
        "      price_in: null  # per million prompt tokens, for `plan` and `status`",
        "      price_out: null  # per million answer tokens",
    ]


def _quoted(text: str) -> str:
    """A text as YAML reads it back; one that needs no quotes has none."""
    return (
        text
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and not WORD.fullmatch(text)
        else json.dumps(text, ensure_ascii=False)
    )


WORD = re.compile(r"true|false|null|yes|no|on|off|y|n", re.IGNORECASE)


def _checked(text: str, path: Path) -> StudyParams:
    """The study that the text describes; one that cannot be loaded is not written."""
    trial = path.with_name(f".{path.name}.init")
    with atomic_write(trial) as file:
        file.write(text)
    try:
        params = load_params(trial)
        for name, model in params.models.items():
            settings = engine_settings(model)
            if model.engine == "openai":
                needed_variables(settings, f"models.{name}")
        return params
    except ParamsError as error:
        raise StudyError(f"init: {str(error).removeprefix(f'{trial}: ')}") from error
    finally:
        trial.unlink(missing_ok=True)


def _say(answers: Answers, params: StudyParams, path: Path) -> None:
    responses = len(params.sampling.temperatures) * len(params.sampling.seeds)
    asked_of = ", ".join(params.models)
    what = f"prompts of {answers.prompts}" if answers.prompts else "the built-in prompts"
    print(f"{path}: study {params.study} asks {asked_of} {what}, {responses} times each; judged by rules")
    column = params.prompts.columns.get("prompt", "prompt")
    # A list without a header would lose its first prompt.
    if (
        answers.prompts
        and answers.prompts.suffix != ".jsonl"
        and column != answers.column
        and column.casefold() not in PROMPT_COLUMNS
    ):
        print(
            f"{answers.prompts}: its first line, {column!r}, is taken for the header of its only column and not asked"
        )
    for model in params.models.values():
        if answers.served:
            for variable in needed_variables(engine_settings(model), "model"):
                print(f"The key is read from the environment: export {variable}=...")
    option = "" if path == Path("params.yaml") else f" --params {path}"
    print(f"Check it, and see what it costs: refusal-stability plan{option}")
