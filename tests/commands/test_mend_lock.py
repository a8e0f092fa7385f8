"""What a killed DVC left half written is set aside; anything that DVC takes is left."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from refusal_stability import dvc_files
from refusal_stability.commands import mend_lock
from refusal_stability.params.checks import ParamsError

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dvc_files, "LOOK_AGAIN_S", 0.0)


def dvc_says(folder: Path) -> str:
    """Why DVC does not read the folder's dvc.lock; "" where it does."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(folder)) as repo:
            repo.status()
            return ""
    except DvcException as error:
        return str(error)


def test_a_half_written_lock_is_set_aside_wherever_it_ends_and_a_whole_one_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, draw = (ROOT / "dvc.lock").read_text(encoding="utf-8"), random.Random(21)
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n")
    Path("dvc.yaml").write_text("stages: {}\n")
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    dvc_files.LOCK.touch()
    said = dvc_says(Path()).splitlines()[0].removesuffix(".")
    assert "validation failed" in said
    assert f"`{said}`" in page
    for end in [0, 15, 21, 196, 1533, *(draw.randrange(len(whole) // 8) for _ in range(20))]:
        dvc_files.LOCK.write_text(whole[:end], encoding="utf-8")
        mend_lock.run()
        # Whatever stays, DVC must take.
        assert dvc_says(Path()) == "", end
    assert "dvc.lock: was left half written" in capsys.readouterr().out
    dvc_files.LOCK.write_bytes((ROOT / "dvc.lock").read_bytes())
    mend_lock.run()
    assert dvc_files.LOCK.read_bytes() == (ROOT / "dvc.lock").read_bytes()
    assert capsys.readouterr().out == ""


def test_a_half_written_note_of_what_runs_is_set_aside_and_a_whole_one_stays() -> None:
    dvc_files.RUNNING.parent.mkdir(parents=True)
    note = json.dumps({"write": {"a": {"pid": 1, "cmd": "x"}}, "read": {}})
    for text, stays in ((note, True), ("", False), (note[:-4], False)):
        dvc_files.RUNNING.write_text(text)
        mend_lock.run()
        assert dvc_files.RUNNING.exists() == stays


@pytest.mark.parametrize("empty", ["models", "reference_models", "sampling", "sampling.adaptive"])
def test_an_empty_section_is_named_before_dvc_stumbles_over_it(empty: str) -> None:
    params = Path("params.yaml")
    params.write_text("study: mine\nmodels: {m: {path: a}}\n")
    mend_lock.run()
    outer, _, inner = empty.partition(".")
    section = f"{outer}:\n  {inner}:\n" if inner else f"{outer}:\n"
    params.write_text("study: mine\n" + ("" if empty == "models" else "models: {m: {path: a}}\n") + section)
    with pytest.raises(ParamsError, match=rf"^params.yaml: {empty}: None is not allowed; allowed: a"):
        mend_lock.run()
