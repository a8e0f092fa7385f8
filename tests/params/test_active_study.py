"""Another study's stages leave the active study's files alone, unless they are asked not to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from refusal_stability.cli import STAGES, app
from refusal_stability.params.active_study import WRITTEN, check_not_of_another_study
from refusal_stability.params.checks import ParamsError

ACTIVE = "study: mine\nprompts: {per_category: 1}\nmodels: {m: {path: nowhere}}\n"
OTHER = Path("studies/other.yaml")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose active study has its prompts, beside another study."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(ACTIVE)
    OTHER.parent.mkdir()
    OTHER.write_text(ACTIVE.replace("mine", "other").replace("per_category: 1", "limit: 3"))
    assert CliRunner().invoke(app, ["prompts"]).exit_code == 0


def test_prompts_of_another_study_are_refused_in_one_line_and_change_nothing() -> None:
    before = Path("data/prompts/prompts.csv").read_bytes()
    ran = CliRunner().invoke(app, ["prompts", "--params", str(OTHER)])
    assert str(ran.exception) == (
        "studies/other.yaml: is not the active study (params.yaml), and `prompts` would overwrite "
        "data/prompts/prompts.csv; make it active with `make study NAME=other`, work in a copy of the project, or add "
        "--force"
    )
    assert Path("data/prompts/prompts.csv").read_bytes() == before
    assert CliRunner().invoke(app, ["prompts", "--params", str(OTHER), "--force"]).exit_code == 0
    assert Path("data/prompts/prompts.csv").read_bytes() != before
    # Writing nothing is always allowed.
    shown = CliRunner().invoke(app, ["prompts", "--show", "1", "--params", str(OTHER)])
    assert not isinstance(shown.exception, ParamsError)


def test_the_active_study_under_another_name_and_an_empty_folder_are_not_refused() -> None:
    shutil.copy("params.yaml", "copy.yaml")
    assert CliRunner().invoke(app, ["prompts", "--params", "copy.yaml"]).exit_code == 0
    Path("data/prompts/prompts.csv").unlink()
    assert CliRunner().invoke(app, ["prompts", "--params", str(OTHER)]).exit_code == 0
    Path("params.yaml").unlink()
    assert CliRunner().invoke(app, ["prompts", "--params", str(OTHER)]).exit_code == 0


@pytest.mark.parametrize("command", [*STAGES, "prompts", "generate"])
def test_every_stage_spares_what_it_writes(command: str) -> None:
    model = "m" if command == "generate" or STAGES.get(command, "").endswith("MODEL.") else ""
    path = WRITTEN[command][0] / model
    check_not_of_another_study("report" if command == "prompts" else "prompts", Path("params.yaml"))
    if not path.suffix:
        path.mkdir(parents=True, exist_ok=True)
        path /= ".gitignore"
        path.touch()
        if command in ("generate", "sample"):
            with pytest.raises(ParamsError, match=r"would ask the active study's prompts \(data/prompts/prompts.csv\)"):
                check_not_of_another_study(command, OTHER, model)
            OTHER.write_text(ACTIVE.replace("mine", "other"))
        check_not_of_another_study(command, OTHER, model)
        path = path.with_name("file.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(ParamsError, match=f"`{command}` would overwrite"):
        check_not_of_another_study(command, OTHER, model)
    arguments = [command, *([model] if model else []), "--params", str(OTHER)]
    assert "would overwrite" in str(CliRunner().invoke(app, arguments).exception)
