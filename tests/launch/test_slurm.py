"""`launch/slurm.sbatch` on several nodes: the whole script, with stand-ins for Slurm's commands, `dvc` and Ray."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "launch" / "slurm.sbatch"
# Of `srun`, what matters here: which nodes are asked for, and that the command runs.
COMMANDS = {
    "srun": 'echo "srun $*" >>"$LOG"\nwhile [[ "$1" == --* ]]; do shift; done\nexec "$@"',
    "hostname": 'echo "127.0.0.1 10.0.0.7"',
    "scontrol": 'if [ "$1" = show ]; then printf "node1\\nnode2\\nnode3\\n"; else echo "scontrol $*" >>"$LOG"; fi',
    "sleep": "exec /bin/sleep 0.02",
    "dvc": 'echo "$* with ${RAY_ADDRESS:-no Ray}" >>"$LOG"\nexit "${ENDS:-0}"',
    # Ray's command: the first FAILING starts of a head end at once, the next one stays.
    "python": """
case "$*" in
*health-check*) exit 0 ;;
*--head*)
  echo try >>tries
  if [ "$(wc -l <tries)" -le "${FAILING:-0}" ]; then echo "it timed out"; exit 1; fi
  says="Ray runtime started." ;;
*)
  echo try >>joins
  if [ "$(wc -l <joins)" -le "${FAILING_TO_JOIN:-0}" ]; then exit 1; fi ;;
esac
[ "$RAY_AUTH_MODE" = token ] && echo "$RAY_AUTH_TOKEN" >>tokens
echo "$*" >>"$LOG"
# Last: the script goes on when it reads this.
echo "${says:-}"
exec /bin/sleep 600""",
}
Start = Callable[..., "subprocess.Popen[str]"]


def put(folder: Path, name: str, body: str) -> None:
    """An executable script."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the script in a checkout on some nodes; ends whatever it left running, as Slurm does."""
    (tmp_path / ".venv-ray").mkdir()
    for name, body in COMMANDS.items():
        put(tmp_path / ".venv/bin", name, body)
    started: list[subprocess.Popen[str]] = []

    def begin(nodes: int, **more: str) -> subprocess.Popen[str]:
        job = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "12", "SLURM_JOB_NUM_NODES": str(nodes)}
        job |= {"SLURM_JOB_NODELIST": f"node[1-{nodes}]", "LOG": str(tmp_path / "log")}
        left = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "RAY"))}
        started.append(
            subprocess.Popen(
                ["bash", str(SCRIPT)],
                env=left | job | more,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def said(process: subprocess.Popen[str], patience: float = 300) -> tuple[int, list[str]]:
    """How it ended, and its own lines; processes that it left may still hold the pipe."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if "ended with" in line or "goes back" in line or line.startswith("error:"):
            break
    return process.wait(patience), lines


def test_a_head_on_the_first_node_is_joined_by_all_others_and_the_study_gets_its_address(
    start: Start, tmp_path: Path
) -> None:
    code, lines = said(start(3, ENDS="3"))
    assert (code, lines) == (3, ["job 12, start 1, on node[1-3]", "job 12 ended with 3"])
    address = "127.0.0.1:20012"
    _wait_for(tmp_path / "log", f"scripts start --address={address} --block", 1)
    log = sorted((tmp_path / "log").read_text().splitlines())
    assert log == sorted([
        "srun --nodes=1 --ntasks=1 --nodelist=node1 hostname --ip-address",
        "srun --nodes=1 --ntasks=1 --overlap --nodelist=node1 bash -c ray start --head --node-ip-address=127.0.0.1 "
        "--port=20012 --include-dashboard=false --block",
        "-m ray.scripts.scripts start --head --node-ip-address=127.0.0.1 --port=20012 --include-dashboard=false "
        "--block",
        f"srun --nodes=2 --ntasks=2 --overlap --exclude=node1 bash -c for _ in 1 2 3; do ray start --address={address} "
        f"--block; ray health-check --address {address} || break; done",
        f"-m ray.scripts.scripts start --address={address} --block",
        f"repro with {address}",
    ])  # fmt: skip
    # One secret word for all nodes of the job.
    tokens = (tmp_path / "tokens").read_text().split()
    assert len(tokens) == 2
    assert len(set(tokens)) == 1
    assert re.fullmatch("[0-9a-f]{64}", tokens[0])


@pytest.mark.parametrize(
    ("failing", "ends"), [("2", "ended with 0"), ("3", "error: Ray does not start on node1 (it timed out)")]
)
def test_a_head_is_tried_three_times(start: Start, tmp_path: Path, failing: str, ends: str) -> None:
    code, lines = said(start(2, FAILING=failing))
    assert code == ("error" in ends)
    assert ends in lines[-1]
    assert (tmp_path / "tries").read_text().count("try") == 3
    assert ("repro" in (tmp_path / "log").read_text()) == (failing == "2")


def test_another_node_is_tried_again_while_the_head_is_there(start: Start, tmp_path: Path) -> None:
    assert said(start(2, FAILING_TO_JOIN="2"))[0] == 0
    _wait_for(tmp_path / "joins", "try", 3)
    _wait_for(tmp_path / "log", "scripts start --address=127.0.0.1:20012 --block", 1)


def test_a_log_of_an_earlier_start_of_the_job_is_not_believed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "slurm-12.ray-1.log").write_text("Ray runtime started.\n")
    assert said(start(2, FAILING="1"))[0] == 0
    assert (tmp_path / "tries").read_text().count("try") == 2


def test_on_one_node_ray_is_started_only_if_asked_for(start: Start, tmp_path: Path) -> None:
    assert said(start(1))[0] == 0
    assert (tmp_path / "log").read_text() == "repro with no Ray\n"
    assert said(start(1, RAY="1"))[0] == 0
    log = (tmp_path / "log").read_text()
    assert log.endswith("repro with 127.0.0.1:20012\n")
    assert "--exclude" not in log


def test_before_the_time_is_over_the_study_is_ended_and_the_job_goes_back_into_the_queue(
    start: Start, tmp_path: Path
) -> None:
    put(tmp_path / ".venv/bin", "dvc", 'trap "echo study ended >>$LOG; exit 0" TERM\necho begun >>"$LOG"\n'
                                       "for _ in {1..3000}; do /bin/sleep 0.1; done")  # fmt: skip
    process = start(2)
    _wait_for(tmp_path / "log", "begun", 1)
    process.send_signal(signal.SIGTERM)
    code, lines = said(process)
    log_of_the_end = ["study ended", "scontrol requeue 12"]
    assert (code, lines[-1]) == (0, "job 12 stops before its time is over, and goes back into the queue")
    log = (tmp_path / "log").read_text().splitlines()
    assert [line for line in log if line in ("study ended", "scontrol requeue 12")] == log_of_the_end


SEES_NODES = """
import os, sys, time, ray
ray.init(address=os.environ["RAY_ADDRESS"], configure_logging=False, log_to_driver=False)
deadline = time.monotonic() + 400
while (there := sum(node["Alive"] for node in ray.nodes())) < 2 and time.monotonic() < deadline:
    time.sleep(0.5)
open("seen", "w").write(str(there))
"""


@pytest.mark.ray
def test_ray_itself_starts_on_two_nodes_and_the_study_sees_both(start: Start, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    (tmp_path / ".venv-ray").rmdir()
    (tmp_path / ".venv-ray").symlink_to(Path(ray.__file__).parent.parent)
    put(tmp_path / ".venv/bin", "python", f'exec {sys.executable} "$@"')
    put(tmp_path / ".venv/bin", "dvc", f"exec {sys.executable} -c '{SEES_NODES}'")
    put(tmp_path / ".venv/bin", "sleep", 'exec /bin/sleep "$@"')
    code, lines = said(start(2, SLURM_JOB_ID=_free_job(), HOME=str(tmp_path), RAY_TRIES="12"), 500)
    assert (code, lines[-1].split()[-1]) == (0, "0"), lines
    assert (tmp_path / "seen").read_text() == "2"


def _free_job() -> str:
    """A job whose port nobody uses."""
    for number in range(os.getpid() % 10_000, 20_000):
        with suppress(OSError), socket.create_server(("", 20_000 + number)):
            return str(number)
    raise AssertionError("no port is free")


def _wait_for(log: Path, line: str, count: int) -> None:
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count(line) >= count):
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "no log"
        time.sleep(0.02)
