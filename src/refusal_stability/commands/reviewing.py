"""The commands for people as judges."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="People as judges: hand out a blind sample or what a judge is unsure of, and read their labels.",
    no_args_is_help=True,
)
Params = Annotated[Path, typer.Option("--params", help="The study's parameter file.")]
PARAMS = Path("params.yaml")


@app.command("export")
def review_export(
    reviewers: Annotated[list[str], typer.Argument(help="Names of the reviewers, e.g. anna ben.")],
    size: Annotated[int | None, typer.Option(help="Responses in a new sample. Default: 200.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a new sample. Default: 0.")] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Fill a review queue in MLflow instead of forms.")] = False,
    params: Params = PARAMS,
) -> None:
    """Draw a blind, stratified sample of responses and write a form for each reviewer."""
    import_module("refusal_stability.commands.review").export(reviewers, size, seed, mlflow, params)


@app.command("import")
def review_import(
    forms: Annotated[list[Path] | None, typer.Argument(help="Filled forms, named after their reviewers.")] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Read the review queues in MLflow.")] = False,
    params: Params = PARAMS,
) -> None:
    """Check reviewers' labels and add them to data/people/labels.csv. Existing labels are never overwritten."""
    import_module("refusal_stability.commands.review").import_labels(forms or [], mlflow, params)


@app.command("waiting")
def review_waiting(params: Params = PARAMS) -> None:
    """Write what waits for a person into the review file, for each judge of kind `people`. Labels there are kept."""
    import_module("refusal_stability.commands.review_waiting").run(params)
