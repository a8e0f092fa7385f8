"""`refusal-stability <stage>`: what dvc.yaml and the Makefile call. Heavy imports happen inside the commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from refusal_stability.records import OtherEnvironment, StudyError

app = typer.Typer(
    name="refusal-stability",
    help="Would this model have refused if we had rolled the dice again?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

LabelNames = Annotated[
    list[str] | None, typer.Option(help="The table's label=ours, e.g. 2_full_refusal=REFUSE; may be repeated.")
]
Params = Annotated[Path, typer.Option("--params", help="The study's parameter file.")]
PARAMS = Path("params.yaml")


@app.command()
def params(params: Params = PARAMS) -> None:
    """Check the parameters and write them out in full, defaults included, into data/params."""
    from refusal_stability.stages import params as stage

    stage.run(params)


@app.command()
def prompts(params: Params = PARAMS) -> None:
    """Read the prompt source into data/prompts/prompts.csv."""
    from refusal_stability.stages import prompts as stage

    stage.run(params)


@app.command()
def train_reference(name: str, params: Params = PARAMS) -> None:
    """Train one embedded reference model into models/reference/NAME."""
    from refusal_stability.stages import train_reference as stage

    stage.run(name, params)


@app.command()
def generate(model: str, params: Params = PARAMS) -> None:
    """Ask one model every prompt in every configuration."""
    from refusal_stability.stages import generate as stage

    stage.run(model, params)


@app.command()
def judge(model: str, params: Params = PARAMS) -> None:
    """Name the decision of each of one model's responses."""
    from refusal_stability.stages import judge as stage

    stage.run(model, params)


@app.command()
def metrics(params: Params = PARAMS) -> None:
    """Compute every table from the labels."""
    from refusal_stability.stages import metrics as stage

    stage.run(params)


@app.command()
def figures(params: Params = PARAMS) -> None:
    """Draw the metric tables."""
    from refusal_stability.stages import figures as stage

    stage.run(params)


@app.command()
def report(params: Params = PARAMS) -> None:
    """Write the report page and the LaTeX tables."""
    from refusal_stability.stages import report as stage

    stage.run(params)


@app.command()
def track(params: Params = PARAMS) -> None:
    """Log the study to MLflow; running it twice leaves the same runs."""
    from refusal_stability.stages import track as stage

    stage.run(params)


@app.command()
def plan(params: Params = PARAMS) -> None:
    """Show requests, tokens and cost of the study before anything is sent."""
    from refusal_stability.commands import plan as stage

    stage.run(params)


@app.command()
def validate(params: Params = PARAMS, samples: int = 200) -> None:
    """Compare the reference models' planted decision shares with measured ones."""
    from refusal_stability.commands import validate as stage

    stage.run(params, samples)


@app.command()
def compare(a: str, b: str, params: Params = PARAMS) -> None:
    """Set two models, interventions or studies side by side, paired by prompt.

    A and B: MODEL, MODEL/INTERVENTION, FOLDER:MODEL[/INTERVENTION], or FOLDER for a whole study.
    """
    from refusal_stability.commands import compare as stage

    stage.run(a, b, params)


@app.command()
def power(
    model: str,
    difference: Annotated[float, typer.Option(help="B minus A, e.g. -0.02 in mean SSI, 0.05 in the share of flips.")],
    figure: Annotated[str, typer.Option(help="ssi or flip.")] = "ssi",
    intervention: Annotated[str, typer.Option(help="The pilot's intervention.")] = "none",
    power: Annotated[float, typer.Option(help="The chance of detecting the difference.")] = 0.8,
    tokens_per_response: Annotated[float | None, typer.Option(help="Default: from the pilot's responses.")] = None,
    params: Params = PARAMS,
) -> None:
    """From a pilot's tables: how many prompts, samples and tokens a comparison needs."""
    from refusal_stability.commands import power as stage

    stage.run(model, intervention, figure, difference, power, tokens_per_response, params)


@app.command()
def train_judge(
    out: Annotated[Path, typer.Argument(help="The judge's file, e.g. models/judges/people.json.")],
    table: Annotated[Path | None, typer.Option(help="A table of labelled responses.")] = None,
    judge: Annotated[str | None, typer.Option(help="Or: learn from this judge of the study.")] = None,
    prompt_column: str = "prompt",
    response_column: str = "response",
    label_column: str = "label",
    label: LabelNames = None,
    seed: int = 0,
    embeddings: Annotated[
        str | None, typer.Option(help="Add sentence embeddings of this encoder: a folder, or a Hugging Face id.")
    ] = None,
    params: Params = PARAMS,
) -> None:
    """Train a small judge on labelled responses and say how well it judges prompts that it has not seen."""
    from refusal_stability.commands import train_judge as stage

    columns = {"prompt": prompt_column, "response": response_column, "label": label_column}
    stage.run(out, table, columns, label or [], judge, seed, params, embeddings)


STUDY = Path("studies/published.yaml")
FIGURES = Path("studies/published_figures.csv")
published = typer.Typer(help="The published study: fetch its data, set its figures beside ours.", no_args_is_help=True)
app.add_typer(published, name="published")


@published.command()
def fetch(
    params: Params = PARAMS,
    study: Path = STUDY,
    folder: Annotated[Path | None, typer.Option(help="A folder that holds the data; without it, git.")] = None,
    url: Annotated[str, typer.Option(help="The git repository.")] = "",
    commit: Annotated[str, typer.Option(help="Its commit.")] = "",
    primary: Annotated[str | None, typer.Option(help="Measure by this judge instead of the study's.")] = None,
) -> None:
    """Put the published data in data/published and make what they let run of STUDY the active study."""
    from refusal_stability.commands import published_fetch as stage

    stage.run(study, params, folder, url, commit, primary)


@published.command(name="report")
def published_report(params: Params = PARAMS, study: Path = STUDY, figures: Path = FIGURES) -> None:
    """Write reports/published.md: every published figure beside ours."""
    from refusal_stability.commands import published_report as stage

    stage.run(study, figures, params)


@app.command()
def judge_report(
    table: Annotated[Path | None, typer.Option(help="A table of labelled responses, in place of the study.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="With --table: the judges to try (default: rules).")] = None,
    prompt_column: str = "prompt",
    response_column: str = "response",
    label_column: str = "label",
    label: LabelNames = None,
    params: Params = PARAMS,
) -> None:
    """Compare judges with people and with each other, into reports/judges."""
    from refusal_stability.commands import judge_report as stage

    if table is None:
        if judge:
            raise typer.BadParameter("goes with --table; all judges of a study are compared", param_hint="--judge")
        stage.of_study(params)
    else:
        columns = {"prompt": prompt_column, "response": response_column, "label": label_column}
        stage.of_table(table, columns, label or [], judge or ["rules"], params)


review = typer.Typer(help="People as judges: hand out a blind sample, import their labels.", no_args_is_help=True)
app.add_typer(review, name="review")


@review.command("export")
def review_export(
    reviewers: Annotated[list[str], typer.Argument(help="Names, e.g. anna ben.")],
    size: Annotated[int | None, typer.Option(help="How many responses a new sample has (default: 200).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of a new sample (default: 0).")] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Fill a review queue in MLflow in place of forms.")] = False,
    params: Params = PARAMS,
) -> None:
    """Draw a blind, stratified sample of responses and give it to each reviewer."""
    from refusal_stability.commands import review as stage

    stage.export(reviewers, size, seed, mlflow, params)


@review.command("import")
def review_import(
    forms: Annotated[list[Path] | None, typer.Argument(help="Filled forms, named after their reviewers.")] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Read the review queues in MLflow.")] = False,
    params: Params = PARAMS,
) -> None:
    """Check reviewers' labels and add them to data/people/labels.csv; none is ever overwritten."""
    from refusal_stability.commands import review as stage

    stage.import_labels(forms or [], mlflow, params)


@app.command()
def explore(
    port: Annotated[int, typer.Option(help="Of 127.0.0.1.")] = 8501,
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
    params: Params = PARAMS,
) -> None:
    """Look at the study prompt by prompt in a local page."""
    from refusal_stability.commands import explore as stage

    stage.run(params, port, headless)


@app.command()
def ui(port: Annotated[int, typer.Option(help="Of 127.0.0.1.")] = 5000, params: Params = PARAMS) -> None:
    """Show the study's runs in MLflow: print the address, and serve it."""
    from refusal_stability.commands import ui as stage

    stage.run(params, port)


@app.command()
def coverage_study(studies: int = 5000, prompts: list[int] = [84, 300, 876], seed: int = 0) -> None:  # noqa: B006
    """Simulate how often the 95 % intervals cover the true value; rewrites docs/coverage.md."""
    from refusal_stability.commands import coverage_study as stage

    stage.run(studies, prompts, seed, n_resamples=1000)


@app.command()
def deps(check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if out of date.")] = False) -> None:
    """Write the source files that each DVC stage imports into dvc.yaml."""
    from refusal_stability.commands import deps as command

    command.run(check)


def main() -> None:
    """Run the command line; an error that a person can act on is one line on stderr and exit code 1."""
    # PyTorch's threads wait for each other many times a step; spinning meanwhile is many times slower on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except OtherEnvironment as error:
        # vLLM pins libraries that this environment has in other versions: the same command goes on over there.
        sys.stdout.flush()
        os.execv(error.python, [str(error.python), "-m", "refusal_stability.cli", *sys.argv[1:]])
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
