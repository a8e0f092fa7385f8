"""`launch/keep.py`: what a study paid for outlives its machine."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from refusal_stability.engines.store import Store
from refusal_stability.records import Completion

SCRIPT = Path(__file__).resolve().parents[2] / "launch" / "keep.py"
LABELS = Path("data/labels/m/m_temp0.0_seed1_labels.csv")


def keep(place: Path, *arguments: object) -> str:
    """Run the script in a folder."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def study(tmp_path: Path) -> Path:
    place = tmp_path / "study"
    (place / LABELS.parent).mkdir(parents=True)
    (place / LABELS).write_text("label\nREFUSE\n")
    with Store(place / "data/store/completions.sqlite") as store:
        store.put_all([(f"{i:064}", Completion(f"text {i}", "stop")) for i in range(100)])
    return place


def test_what_is_saved_is_restored_in_another_checkout_and_a_store_that_is_there_stays(
    study: Path, tmp_path: Path
) -> None:
    (study / "secret.env").write_text("KEY=1")
    keep(study, "save", tmp_path / "kept")
    other = tmp_path / "other"
    other.mkdir()
    assert "restored 2 files" in keep(other, "restore", tmp_path / "kept")
    assert (other / LABELS).read_text() == "label\nREFUSE\n"
    with Store(other / "data/store/completions.sqlite") as store:
        assert len(store.find(f"{i:064}" for i in range(100))) == 100
        store.put(f"{100:064}", Completion("newer", "stop"))
    assert "nothing is restored" in keep(other, "restore", tmp_path / "kept")
    with Store(other / "data/store/completions.sqlite") as store:
        assert store.find([f"{100:064}"])
    assert not list((tmp_path / "kept").rglob("*.env"))
    assert not list((tmp_path / "kept").rglob("*.part"))


def test_a_table_that_has_another_form_now_is_kept_in_that_form_alone(study: Path, tmp_path: Path) -> None:
    keep(study, "save", tmp_path / "kept")
    parquet = LABELS.with_suffix(".parquet")
    (study / LABELS).rename(study / parquet)
    keep(study, "save", tmp_path / "kept")
    kept = tmp_path / "kept" / LABELS.parent
    assert [file.name for file in kept.iterdir()] == [parquet.name]
    # A save between the stage's writing of the one and its removal of the other keeps both; the next one does not.
    (study / LABELS).write_text("old")
    keep(study, "save", tmp_path / "kept")
    (study / LABELS).unlink()
    keep(study, "save", tmp_path / "kept")
    assert [file.name for file in kept.iterdir()] == [parquet.name]


def failed(place: Path, *arguments: object) -> str:
    """What the script says as it ends with an error, in one line."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    ran = subprocess.run(command, cwd=place, check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    return ran.stderr


@pytest.mark.parametrize("content", [b"", b"x" * 5000, None], ids=["empty", "no database", "zeroed pages"])
def test_a_damaged_store_does_not_replace_the_saved_one(study: Path, tmp_path: Path, content: bytes | None) -> None:
    store, kept = study / "data/store/completions.sqlite", tmp_path / "kept"
    keep(study, "save", kept)
    before = (kept / store.relative_to(study)).read_bytes()
    whole = store.read_bytes()
    store.write_bytes(whole[:4096] + bytes(len(whole) - 4096) if content is None else content)
    assert "the copy in" in failed(study, "save", kept)
    assert (kept / store.relative_to(study)).read_bytes() == before
    assert not list(tmp_path.rglob("*.part"))


def test_a_store_with_fewer_answers_leaves_the_saved_one_beside_it(study: Path, tmp_path: Path) -> None:
    store, kept = study / "data/store/completions.sqlite", tmp_path / "kept"
    keep(study, "save", kept)
    store.unlink()
    with Store(store) as fewer:
        fewer.put("0" * 64, Completion("text", "stop"))
    keep(study, "save", kept)
    keep(study, "save", kept)
    for name, answers in (("completions.sqlite", 1), ("completions.sqlite.former", 100)):
        (study / "data/store/found.sqlite").write_bytes((kept / "data/store" / name).read_bytes())
        with Store(study / "data/store/found.sqlite") as found:
            assert len(found.find([f"{i:064}" for i in range(100)])) == answers


def test_a_folder_that_is_not_there_is_no_empty_one(study: Path, tmp_path: Path) -> None:
    assert "nowhere is not there; correct its name, or mount the bucket" in failed(
        study, "restore", tmp_path / "nowhere"
    )
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").write_text("")
    assert "file" in failed(study, "save", tmp_path / "file")


def test_a_store_that_is_written_to_is_saved_whole(study: Path, tmp_path: Path) -> None:
    written = threading.Event()
    stop = threading.Event()

    def write() -> None:
        with Store(study / "data/store/completions.sqlite") as store:
            number = 100
            while not stop.is_set():
                store.put_all([(f"{number + i:064}", Completion("x" * 500, "stop")) for i in range(20)])
                number += 20
                written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(300)
        for round_ in range(3):
            keep(study, "save", tmp_path / f"kept{round_}")
    finally:
        stop.set()
        writer.join()
    for round_ in range(3):
        with Store(tmp_path / f"kept{round_}/data/store/completions.sqlite") as store:
            assert store.drop_damaged() == 0
            assert len(store.find(f"{i:064}" for i in range(100))) == 100


def test_a_store_that_a_run_is_still_making_holds_nothing_up(study: Path, tmp_path: Path) -> None:
    store, kept = study / "data/store/completions.sqlite", tmp_path / "kept"
    store.unlink()
    store.touch()
    assert "saved to" in keep(study, "save", kept)
    assert (kept / LABELS).exists()
    assert not (kept / store.relative_to(study)).exists()


def test_a_file_that_a_stage_removes_meanwhile_costs_no_other(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (study / LABELS.parent / f"{number}.csv").write_text("label\n")
    spec = importlib.util.spec_from_file_location("keep", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    differs = script._differs

    def removed_first(file: Path, target: Path) -> bool:
        if file.name == "1.csv":
            file.unlink()
        return differs(file, target)

    monkeypatch.chdir(study)
    monkeypatch.setattr(script, "_differs", removed_first)
    script.save(tmp_path / "kept")
    assert sorted(file.name for file in (tmp_path / "kept" / LABELS.parent).iterdir()) == [
        "0.csv",
        "2.csv",
        LABELS.name,
    ]


def test_a_watch_saves_once_more_when_it_is_ended(study: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "watch", str(tmp_path / "kept"), "--every", "0.2"]
    watch = subprocess.Popen(command, cwd=study, stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    assert watch.stdout.readline().startswith("saved to")
    (study / LABELS).write_text("label\nCOMPLY\nthe last\n")
    watch.send_signal(signal.SIGTERM)
    assert watch.wait(300) == 0
    watch.stdout.close()
    assert (tmp_path / "kept" / LABELS).read_text() == "label\nCOMPLY\nthe last\n"
