"""The command line itself: its version, its completion, and the nearest name where one was mistyped."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from refusal_stability.cli import app
from refusal_stability.params.checks import ParamsError
from refusal_stability.stages import generate


def test_the_version_is_said() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"refusal-stability {version('refusal-stability')}\n")


def test_a_shell_can_complete_commands() -> None:
    asked = {"_REFUSAL_STABILITY_COMPLETE": "complete_bash", "COMP_WORDS": "refusal-stability gen", "COMP_CWORD": "1"}
    said = CliRunner().invoke(app, [], prog_name="refusal-stability", env=asked)
    assert said.output.split() == ["generate"]


def test_a_mistyped_command_is_answered_with_the_nearest() -> None:
    said = CliRunner().invoke(app, ["genrate"])
    assert said.exit_code == 2
    assert "Did you mean 'generate'?" in said.output


def test_a_mistyped_model_is_answered_with_the_nearest(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("study: s\nmodels: {smollm2-135m: {path: x}}\n")
    with pytest.raises(ParamsError, match=r"there are: smollm2-135m; did you mean smollm2-135m"):
        generate.run("smolm2-135m", params)
