"""`refusal-stability status` beside a real run against a real server, after a kill, and where there is nothing yet."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import batches
import pytest
import yaml
from batch_server import AnthropicServer, BatchServer, Server

import refusal_stability
from refusal_stability.commands import status
from refusal_stability.files import label_file
from refusal_stability.records import NO_INTERVENTION, Condition, StudyError
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import LABEL_TABLE

GRID = {"temperatures": [0.0, 1.0], "seeds": [1, 2], "max_tokens": 16}
Start = Callable[..., str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the study's folder."""
    monkeypatch.chdir(tmp_path)


class Study:
    """A study of one served model in a folder of its own."""

    def __init__(self, folder: Path, url: str, **settings: Any) -> None:
        self.folder = folder
        paid = {"base_url": url, "concurrency": 1, "price_in": 1.0, "price_out": 2.0, **settings}
        judge = {"kind": "model", "model": {"engine": "openai", "path": "judge", "settings": paid}}
        study = {
            "study": "served",
            "prompts": {"source": "table", "path": "mine.csv"},
            "sampling": GRID,
            "models": {"small": {"engine": "openai", "path": "small", "settings": paid}},
            "judging": {"max_missing": 0.5, "judges": {"rules": {"kind": "rules"}, "reader": judge}},
        }
        (folder / "params.yaml").write_text(yaml.safe_dump(study))
        (folder / "mine.csv").write_text("prompt\n" + "".join(f"How do kites number {i} fly?\n" for i in range(6)))
        self.env = {**os.environ, "PYTHONPATH": str(Path(refusal_stability.__file__).parent.parent), "COLUMNS": "80"}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "refusal_stability.cli", *arguments]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert not check or ran.returncode == 0, ran.stderr
        return ran

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stages(self, *names: str) -> None:
        """Run stages in this process."""
        for name in names:
            stage = import_module(f"refusal_stability.stages.{name}")
            stage.run(*(() if name == "prompts" else ("small",)), Path("params.yaml"))

    def status(self, as_json: bool = False, every: bool = False) -> str:
        """What the command prints, in this process: a shell starts in seconds, of which there would be many."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status.run(Path("params.yaml"), as_json, every, None)
        return printed.getvalue()

    def state(self, words: str = "small") -> dict[str, Any]:
        said = json.loads(self.status(as_json=True))
        return {**next(work for work in said["work"] if work["words"] == words), "runs": said["running"]}


def test_a_study_that_never_ran_has_everything_to_do_and_no_store(tmp_path: Path) -> None:
    study = Study(tmp_path, "http://127.0.0.1:9/v1")
    state = study.state()
    assert (state["done"], state["total"], state["running"], state["rate"]) == (0, 24, False, None)
    assert study.state("reader on small")["total"] is None
    said = study.status()
    assert "no run is going on" in said
    assert "There is no data/store/completions.sqlite: nothing has been asked yet." in said
    assert not (tmp_path / "data").exists()


def test_beside_a_run_after_its_kill_and_after_its_end(tmp_path: Path, server: Start) -> None:
    # The first try of one request is never answered, so that the run lasts until its kill.
    study = Study(tmp_path, server("--fault", "stall", "--after", "10", "--every", "100", "--in-words"))
    study.stages("prompts")
    run = study.start("generate", "small")
    try:
        state = study.state()
        while not (state["running"] and state["rate"] and 1 <= state["done"] < 24):
            assert run.poll() is None
            time.sleep(0.1)
            state = study.state()
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert state["seconds_left"] > 0
    assert state["runs"][0]["process"] == run.pid
    # Killed: what is stored counts, and the rate is that of the session.
    state = study.state()
    assert 1 <= state["done"] < 24
    assert state["answer_tokens"] == 5 * state["done"]
    assert state["cost"] == pytest.approx(state["done"] * (10 * 1 + 5 * 2) / 1e6)
    assert {cell["total"] for cell in state["configurations"]} == {6}
    assert sum(cell["done"] for cell in state["configurations"]) == state["done"]

    study.stages("generate")
    state = study.state()
    assert (state["done"], state["judged"], state["running"], state["seconds_left"]) == (24, 0, False, None)
    # At temperature 0 this server's answers are the same for both seeds: 6 prompts x 3 texts.
    assert study.state("reader on small")["total"] == 18
    study.stages("judge")
    assert study.state()["judged"] == 24
    judge = study.state("reader on small")
    assert (judge["done"], judge["total"]) == (18, 18)
    said = study.run("status").stdout
    assert max(map(len, said.splitlines())) <= 80
    assert "24/24" in said
    assert "configurations are finished" not in said
    assert "small: 4 of 4 configurations are finished" in study.status(every=True)

    # What the judge was given and did not decide is finished too: nothing is left to do for it.
    file = label_file(Condition("small", NO_INTERVENTION, 1.0, 2))
    labels = read_table(file, LABEL_TABLE)
    first = labels.index[labels["judge"] == "rules"][0]
    labels.loc[first, ["label", "missing_reason"]] = ["", "not in English"]
    write_table(labels, file, LABEL_TABLE)
    assert study.state()["judged"] == 23
    said = study.status()
    assert "small: not decided by the primary judge: 1 of its answers" in said
    assert "configurations are finished" not in said
    assert "temperature 1, seed 2: 6 of 6, 5 judged, 1 not decided" in study.status(every=True)


@pytest.mark.parametrize(
    ("kind", "vendor", "name"),
    [(BatchServer, batches.OPENAI, "batch_0"), (AnthropicServer, batches.ANTHROPIC, "msgbatch_0")],
)
def test_batches_at_a_vendor_are_followed_until_their_answers_are_stored(
    kind: type[Server], vendor: dict[str, Any], name: str, tmp_path: Path
) -> None:
    with batches.served(kind) as server:
        study = Study(tmp_path, server.url, batch=True, batch_poll_s=0.02, **vendor)
        study.stages("prompts")
        # As if the run had ended while the vendor works: it looks once, and then it does not.
        server.fail("look", None, 403)
        with pytest.raises(StudyError, match="403"):
            study.stages("generate")
        (batch,) = study.state()["batches"]
        assert (batch["batch_id"], batch["state"], batch["requests"]) == (name, "in_progress", 23)
        said = " ".join(study.status().split())
        assert f"small: batch {name}: in_progress, 0 of 23 answered, 0 failed, sent 20" in said
        study.stages("generate")
        state = study.state()
        assert (state["done"], state["batches"], len(server.batches)) == (24, [], 1)
        # Half of the prices: 24 answers of 10 tokens in and 5 out.
        assert state["cost"] == pytest.approx(24 * (10 * 1 + 5 * 2) / 1e6 / 2)


def test_what_is_missing_is_said_with_its_reason_by_configuration(tmp_path: Path, server: Start) -> None:
    study = Study(tmp_path, server("--fault", "too-long", "--every", "4", "--times", "9"))
    study.stages("prompts")
    study.stages("generate")
    state = study.state()
    assert state["done"] == 18
    assert sum(state["missing"].values()) == 6
    assert all("maximum context length" in reason for reason in state["missing"])
    assert sum(sum(cell["missing"].values()) for cell in state["configurations"]) == 6
    assert "6 HTTP 400: This model's maximum context length is 16 tokens" in study.status()


def test_files_of_another_study_say_nothing_about_this_one(tmp_path: Path, server: Start) -> None:
    study = Study(tmp_path, server())
    study.stages("prompts", "generate", "judge")
    (tmp_path / "mine.csv").write_text("prompt\nSomething else?\n")
    state = study.state()
    assert (state["done"], state["total"], state["judged"], state["missing"]) == (0, 4, 0, {})


def test_a_lock_file_that_dvc_will_refuse_is_said_with_what_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Study(tmp_path, "http://127.0.0.1:9")
    Path("dvc.lock").write_text("schema: '2.0'\nst")
    status.run(Path("params.yaml"), as_json=False, every_cell=False, watch=None)
    said = " ".join(capsys.readouterr().out.split())
    assert "dvc.lock: left half written by a `dvc repro` that was killed, so DVC refuses to start. Run `make" in said


def test_a_torn_store_and_a_model_that_is_not_there_are_said_in_a_line(tmp_path: Path) -> None:
    study = Study(tmp_path, "http://127.0.0.1:9/v1")
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    params["models"]["untrained"] = {"path": "models/reference/untrained"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    said = " ".join(study.status().split())
    assert "untrained: not known: models path 'models/reference/untrained': no such folder" in said
    assert study.state()["total"] == 24
    (tmp_path / "data/store").mkdir(parents=True)
    (tmp_path / "data/store/completions.sqlite").write_text("no database at all, " * 100)
    ran = study.run("status", check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: data/store/completions.sqlite: cannot be read as a store")


def test_a_log_of_a_run_against_a_slow_server_is_not_silent(tmp_path: Path, server: Start) -> None:
    study = Study(tmp_path, server("--delay", "0.1"))
    study.stages("prompts")
    often = (
        "import refusal_stability.progress as p; p.SAY_EVERY_S = 0.2; from refusal_stability.cli import main; main()"
    )
    command = [sys.executable, "-c", often, "generate", "small"]
    start = time.monotonic()
    ran = subprocess.run(command, cwd=tmp_path, env=study.env, capture_output=True, text=True, check=True)
    most = (time.monotonic() - start) / 0.2
    lines = [line for line in ran.stderr.splitlines() if line.startswith("small: ")]
    assert 1 <= len(lines) <= most
    assert all(" of 24 (" in line for line in lines)


def test_a_model_that_the_study_makes_while_somebody_watches_is_found(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("study: s\nprompts: {limit: 1}\nmodels: {m: {path: made, engine: transformers}}\n")

    def wait(_: float) -> None:
        if Path("made").exists():
            raise KeyboardInterrupt
        shutil.copytree(tiny_model, "made")

    monkeypatch.setattr(status.time, "sleep", wait)
    status.run(Path("params.yaml"), as_json=True, every_cell=False, watch=1.0)
    before, after = (json.loads(line)["work"][0]["problem"] for line in capsys.readouterr().out.splitlines())
    assert "no such folder" in before
    assert after == ""
