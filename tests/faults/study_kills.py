"""Kill every stage and `dvc repro` at random moments: no file is half written, and the end is as without a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from small_study import CONCURRENCY, OUTPUTS, STAGES, TRAINED, TRAINING, SmallStudy, command, small_study

BAD = {"lost", "doubled", "half written", "traceback", "left over", "run doubled or lost"}
# What ended before a kill is not done again, so that short runs reach every stage of `dvc repro` too.
LONGEST_S = 20.0
DVC_STARTS_S = 2.0
# These take seconds, the others about one: so many times fewer kills of them.
LONG_STAGES, FEWER = ("figures", "track", *TRAINING), 2.4
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# As `make repro` runs it.
REPRO = ("sh", "-c", "refusal-stability mend-lock && exec dvc repro")


class Killed:
    """A small study that ran once undisturbed, and is then killed again and again."""

    def __init__(self, small: SmallStudy, random: Random) -> None:
        self.small, self.random = small, random
        self.counts: Counter[str] = Counter()
        self._kills_of_this_store = 0
        self.seconds: dict[str, float] = {}
        self.writes = dict(STAGES)
        for stage in STAGES:
            self._time(stage, command(stage))
        self.expected, self.runs = small.files(), small.tracked()

    def train(self) -> None:
        """Let the study have an embedded model, which is trained as a stage of its own."""
        (stage,) = TRAINING
        with (self.small.folder / "params.yaml").open("a") as params:
            params.write(TRAINED)
        self.writes |= TRAINING
        for name in (stage, "params"):
            self._time(name, command(name))
        self.expected = self.small.files()

    def kill_stage(self, stage: str, count: int) -> None:
        """Kill one stage `count` times, with and without the files of an earlier run, then let it end."""
        killed = number = 0
        while killed < count and number < 2 * count:
            if number % 2:
                self.small.remove(self.writes[stage])
            if stage == "track" and number % 3 == 0:
                self.small.remove(["mlruns"])
            if stage.startswith("generate") and number % 4 == 0:
                self._forget_store()
            killed += not self._kill(stage, command(stage), self.seconds[stage])
            number += 1
            self._check(self.writes[stage])
        self._end(stage, command(stage))
        self._check_whole(stage)

    def kill_repro(self, count: int) -> None:
        """Kill `dvc repro` `count` times, in rounds that start from nothing and end with the whole study."""
        killed = 0
        while killed < count:
            self._forget()
            for _ in range(min(count - killed, self.random.randint(5, 12))):
                missing = [s for s in STAGES if not all((self.small.folder / place).exists() for place in STAGES[s])]
                seconds = DVC_STARTS_S + sum(self.seconds[stage] for stage in missing)
                if self._kill("dvc repro", REPRO, seconds):
                    break
                killed += 1
                self._check(OUTPUTS)
            self._end("dvc repro", REPRO)
            self._check_whole("dvc repro")

    def _time(self, name: str, words: Sequence[str]) -> None:
        start = time.monotonic()
        self.small.study.run(*words)
        self.seconds[name] = time.monotonic() - start

    def _kill(self, name: str, words: Sequence[str], seconds: float) -> bool:
        """Start a command and kill it at a random moment of so many seconds; whether it had ended before."""
        study = self.small.study
        process = subprocess.Popen(
            words,
            cwd=study.folder,
            env=study.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + min(seconds, LONGEST_S) * self.random.uniform(0.1, 1.0)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        ended = process.poll() is not None
        whole_group, sent = self.random.random() < 0.8, self.random.choice(SIGNALS)
        if not ended:
            # Where DVC alone is killed, its stage goes on without it, beside the next one.
            os.killpg(process.pid, sent) if whole_group else process.send_signal(sent)
        process.wait()
        kind = "dvc repro" if name == "dvc repro" else "stages"
        self.counts[f"{kind}: {'ended before the kill' if ended else 'killed'}"] += 1
        self._kills_of_this_store += not ended
        return ended

    def _end(self, name: str, words: Sequence[str]) -> None:
        last = self.small.study.run(*words, check=False)
        wrong = "Traceback" in last.stderr or last.returncode != 0
        self.counts["traceback"] += wrong
        if wrong:
            print(f"kills: {name}: {last.returncode}\n{last.stdout[-1500:]}\n{last.stderr[-1500:]}", flush=True)

    def _check(self, places: Sequence[str]) -> None:
        """A file is there with its whole content, or it is not there."""
        for name, content in self.small.files(places).items():
            if content != self.expected.get(name):
                self.counts["half written"] += 1
                print(f"kills: {name}: half written", flush=True)

    def _check_whole(self, name: str) -> None:
        found, left, runs = self.small.files(), self.small.left_over(), self.small.tracked()
        lost = [file for file in self.expected if found.get(file) != self.expected[file]]
        self.counts["lost"] += len(lost)
        self.counts["left over"] += len(left)
        self.counts["run doubled or lost"] += runs != self.runs
        if lost or left or runs != self.runs:
            print(f"kills: after {name}: lost {lost}, left over {left}, runs {runs}", flush=True)

    def _forget(self) -> None:
        """Back to a study that never ran, for DVC too."""
        self._forget_store()
        self.small.remove([*OUTPUTS, "mlruns", "dvc.lock", ".dvc/cache", ".dvc/tmp"])

    def _forget_store(self) -> None:
        self.count_doubled()
        self.small.remove(["data/store"])

    def count_doubled(self) -> None:
        """What was sent since the store was new: each request once, and again only what was in flight at a kill."""
        sent = self.small.sent()
        again = sent.total() - len(sent)
        self.counts["sent again, in flight"] += again
        self.counts["doubled"] += max(0, again - CONCURRENCY * self._kills_of_this_store)
        self._kills_of_this_store = 0
        self.small.forget_sent()


def run(seed: int, of_each_stage: int, of_repro: int, folder: Path) -> Counter[str]:
    """Counts of kills, and of what was wrong after them: stages in one study, `dvc repro` in another beside it."""

    def of_stages(killed: Killed) -> None:
        for stage in STAGES:
            killed.kill_stage(stage, _times(stage, of_each_stage))
        killed.train()
        for stage in TRAINING:
            killed.kill_stage(stage, _times(stage, of_each_stage))

    def in_a_study(kill: Callable[[Killed], None], name: str, seed: int) -> Counter[str]:
        with small_study(folder / name) as small:
            killed = Killed(small, Random(seed))
            kill(killed)
            killed.count_doubled()
        return killed.counts

    with ThreadPoolExecutor() as pool:
        stages = pool.submit(in_a_study, of_stages, "stages", seed)
        repro = pool.submit(in_a_study, lambda killed: killed.kill_repro(of_repro), "repro", seed + 1)
        return stages.result() + repro.result()


def _times(stage: str, of_each: int) -> int:
    return max(1, round(of_each / FEWER)) if stage in LONG_STAGES else of_each
