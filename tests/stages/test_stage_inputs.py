"""What is edited while a DVC stage runs: it ends with an error, so that DVC records nothing that was not used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError
from refusal_stability.stage_inputs import watched_inputs
from refusal_stability.stages import params as params_stage

PARAMS = Path("params.yaml")
SHORT = "study: short\nmodels: {old: {path: m}, new: {path: n}}\n"
GRAPH = """
stages:
  params: {cmd: x, deps: [code.py], params: [{params.yaml: }], outs: [data/params]}
  generate:
    foreach: ${models}
    do: {cmd: x, deps: ["data/params/models/${key}.json", data/params/sampling.json, data/prompts, code.py]}
  report: {cmd: x, deps: [data/metrics], params: [{params.yaml: }]}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(GRAPH)
    PARAMS.write_text(SHORT)
    Path("code.py").write_text("1\n")
    Path("data/prompts").mkdir(parents=True)
    Path("data/prompts/prompts.csv").write_text("a\n")
    params_stage.run(PARAMS)


def edit(path: str, text: str) -> None:
    Path(path).write_text(text)


EDITS = {
    "code": ("generate@old", "code.py", "2\n"),
    "a file of a folder": ("generate@old", "data/prompts/prompts.csv", "b\n"),
    "a new file of a folder": ("generate@old", "data/prompts/more.csv", "b\n"),
    "the parameters that report shows": ("report", "params.yaml", SHORT + "metrics: {threshold: 0.7}\n"),
    "the parameters that are written out": ("params", "params.yaml", SHORT + "metrics: {threshold: 0.7}\n"),
}


@pytest.mark.parametrize(("stage", "path", "text"), EDITS.values(), ids=EDITS)
def test_an_input_edited_while_its_stage_runs_ends_it(
    monkeypatch: pytest.MonkeyPatch, stage: str, path: str, text: str
) -> None:
    monkeypatch.setenv("DVC_STAGE", stage)
    with (
        pytest.raises(StudyError, match=rf"was edited while stage {stage} ran.*nothing is recorded.*dvc repro"),
        watched_inputs(stage.partition("@")[0], PARAMS),
    ):
        edit(path, text)


def test_a_parameter_that_is_read_late_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "generate@old")
    with pytest.raises(StudyError, match=r"params\.yaml: was edited while"), watched_inputs("generate", PARAMS):
        edit("params.yaml", SHORT + "sampling: {seeds: [1]}\n")
        load_params(PARAMS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SHORT + "sampling: {seeds: [1]}\n", r"params\.yaml: sampling was edited after stage params; nothing was done"),
        (SHORT.replace("old: {path: m}", "old: {path: k}"), r"models\.old was edited after stage params"),
    ],
)
def test_what_was_edited_between_two_stages_stops_the_one_that_reads_it(
    monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.setenv("DVC_STAGE", "generate@old")
    edit("params.yaml", text)
    with pytest.raises(StudyError, match=words), watched_inputs("generate", PARAMS):
        raise AssertionError("it ran")


@pytest.mark.parametrize(
    ("stage", "path", "text"),
    [
        ("generate@old", "params.yaml", SHORT + "metrics: {threshold: 0.7}\n"),
        ("generate@old", "params.yaml", SHORT.replace("new: {path: n}", "new: {path: k}")),
        ("report", "code.py", "2\n"),
    ],
)
def test_what_a_stage_does_not_read_may_be_edited_before_and_meanwhile(
    monkeypatch: pytest.MonkeyPatch, stage: str, path: str, text: str
) -> None:
    monkeypatch.setenv("DVC_STAGE", stage)
    before = Path(path).read_text()
    for early in (True, False):
        edit(path, text if early else before)
        with watched_inputs(stage.partition("@")[0], PARAMS):
            edit(path, text)


def test_a_file_that_is_written_again_as_it_was_is_no_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "generate@old")
    with watched_inputs("generate", PARAMS):
        edit("code.py", "1\n")
        os.utime("data/prompts/prompts.csv", (1, 1))


def test_by_hand_a_stage_says_that_earlier_ones_used_other_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert "DVC_STAGE" not in os.environ
    with watched_inputs("report", PARAMS):
        pass
    assert capsys.readouterr().err == ""
    edit("params.yaml", SHORT + "metrics: {threshold: 0.7}\n")
    with watched_inputs("report", PARAMS):
        pass
    assert capsys.readouterr().err.startswith("warning: params.yaml: metrics differs from data/params: ")


def test_a_stage_that_dvc_yaml_lost_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "figures")
    with (
        pytest.raises(StudyError, match=r"dvc\.yaml: has no stage figures any more"),
        watched_inputs("figures", PARAMS),
    ):
        raise AssertionError("it ran")
