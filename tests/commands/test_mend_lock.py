"""What a killed DVC left half written is set aside; anything that DVC takes is left."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from refusal_stability.commands import mend_lock

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mend_lock, "LOOK_AGAIN_S", 0.0)


def dvc_takes(folder: Path) -> bool:
    """Whether DVC reads the folder's dvc.lock."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(folder)) as repo:
            return repo.status() is not None
    except DvcException:
        return False


def test_a_half_written_lock_is_set_aside_wherever_it_ends_and_a_whole_one_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, draw = (ROOT / "dvc.lock").read_text(encoding="utf-8"), random.Random(21)
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n")
    Path("dvc.yaml").write_text("stages: {}\n")
    mend_lock.LOCK.touch()
    assert not dvc_takes(Path())
    for end in [0, 15, 21, 196, 1533, *(draw.randrange(len(whole) // 8) for _ in range(20))]:
        mend_lock.LOCK.write_text(whole[:end], encoding="utf-8")
        mend_lock.run()
        # Whatever stays, DVC must take.
        assert dvc_takes(Path()), end
    assert "dvc.lock: was left half written" in capsys.readouterr().out
    mend_lock.LOCK.write_bytes((ROOT / "dvc.lock").read_bytes())
    mend_lock.run()
    assert mend_lock.LOCK.read_bytes() == (ROOT / "dvc.lock").read_bytes()
    assert capsys.readouterr().out == ""


def test_a_half_written_note_of_what_runs_is_set_aside_and_a_whole_one_stays() -> None:
    mend_lock.RUNNING.parent.mkdir(parents=True)
    note = json.dumps({"write": {"a": {"pid": 1, "cmd": "x"}}, "read": {}})
    for text, stays in ((note, True), ("", False), (note[:-4], False)):
        mend_lock.RUNNING.write_text(text)
        mend_lock.run()
        assert mend_lock.RUNNING.exists() == stays
