"""The commands that open a page to look at results: the explorer and MLflow."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
Params = Annotated[Path, typer.Option("--params", help="The study's parameter file.")]
Headless = Annotated[bool, typer.Option("--headless", help="Do not open a browser.")]
PARAMS = Path("params.yaml")


@app.command()
def explore(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8501,
    headless: Headless = False,
    params: Params = PARAMS,
) -> None:
    """Browse the study prompt by prompt on a local page."""
    import_module("refusal_stability.commands.explore").run(params, port, headless)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Of 127.0.0.1.")] = 5000,
    headless: Headless = False,
    params: Params = PARAMS,
) -> None:
    """Show the study's runs in MLflow: print the address of the view that compares them, serve it, and open it."""
    import_module("refusal_stability.commands.ui").run(params, port, headless)
