"""The ray engine against the plain one: replicas 1, 2 and 4 that ask a server which takes 50 ms, and the cost of Ray.

`PYTHONPATH=.venv-ray python benchmarks/ray_replicas.py` prints one table. Each replica keeps one request in flight, so
that it answers 20 requests a second at most and what is measured is the handing out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "faults"))
from batch_server import BatchServer

from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import Engine
from refusal_stability.params.engines import ModelParams
from refusal_stability.records import Message, Request, Sampling

WAIT_S = 0.05
SEEDS = 5


def requests_of(count: int) -> list[Request]:
    """Prompts of five requests each."""
    return [
        Request((Message("user", f"prompt {i // SEEDS}"),), Sampling(1.0, i % SEEDS, i, max_tokens=8))
        for i in range(count)
    ]


@contextmanager
def opened(url: str, replicas: int, concurrency: int) -> Iterator[Engine]:
    """The engine with so many replicas; 0 is the plain engine."""
    wrapped: dict[str, Any] = {"base_url": url, "concurrency": concurrency, "omit": ["top_k"]}
    settings = {"wraps": "openai", "settings": wrapped, "replicas": replicas, "chunk_size": 20} if replicas else wrapped
    engine = open_engine(ModelParams("ray" if replicas else "openai", "m", settings=settings), "m")
    try:
        yield engine
    finally:
        engine.close()


def rates(engine: Engine, count: int, rounds: int) -> list[float]:
    """Completions a second in each round, after one that starts the replicas."""
    found = []
    list(engine.complete(requests_of(SEEDS * 16)))
    for _ in range(rounds):
        start = time.monotonic()
        assert len(list(engine.complete(requests_of(count)))) == count
        found.append(count / (time.monotonic() - start))
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400, help="requests a replica in each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    server = BatchServer()
    print("| engine | requests/s, median of rounds (least, most) | of the plain engine's, or of linear |")
    print("|---|---|---|")
    for wait, concurrency, replicas in ((WAIT_S, 1, (0, 1, 2, 4)), (0.0, 32, (0, 1))):
        server.delay_s = wait
        first = 0.0
        for number in replicas:
            with opened(server.url, number, concurrency) as engine:
                found = rates(engine, options.count * max(1, number), options.rounds)
            middle = statistics.median(found)
            first = first or middle
            name = f"{number} replicas" if number else "plain"
            share = middle / (first * max(1, number))
            print(
                f"| {name}, server takes {wait * 1000:g} ms, {concurrency} in flight each | {middle:,.1f} "
                f"({min(found):,.1f}, {max(found):,.1f}) | {share:.3f} |",
                flush=True,
            )
    server.stop()


if __name__ == "__main__":
    main()
