"""How fast a store of millions of completions takes in more, and finds them again.

`python benchmarks/large_store.py` stores 10 million answers of 530 letters, 256 a commit. It prints a row a million:
rows taken in a second, and a second of its own CPU time, which other work on the machine changes less; rows found a
second; size; peak memory. It needs 10 GB of disk (`--folder`, `--rows`, `--letters`).
"""

from __future__ import annotations

import argparse
import random
import resource
import string
import tempfile
import time
from pathlib import Path

from harness import load

from refusal_stability.engines.store import Store
from refusal_stability.records import Completion, text_hash

TOGETHER, LOOKED_UP = 256, 100_000


def main() -> None:
    """Fill a store, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--letters", type=int, default=530)
    parser.add_argument("--folder", type=Path, help="where the store is made and deleted")
    options = parser.parse_args()
    rng = random.Random(0)
    texts = ["".join(rng.choices(string.ascii_lowercase + " ", k=options.letters)) for _ in range(1000)]
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        path = Path(place) / "store.sqlite"
        print(f"load {load()}\n")
        print("| rows | taken in a second | in a CPU second | found a second | size, GB | peak memory, GB |")
        print("|---|---|---|---|---|---|", flush=True)
        with Store(path) as store:
            start, cpu, before = time.monotonic(), time.process_time(), 0
            for first in range(0, options.rows, TOGETHER):
                numbers = range(first, min(first + TOGETHER, options.rows))
                store.put_all([
                    (text_hash(str(n)), Completion(texts[n % 1000], "stop", 20, 120, details={"model": "m"}))
                    for n in numbers
                ])  # fmt: skip
                rows = numbers[-1] + 1
                if rows // 1_000_000 > before // 1_000_000 or rows == options.rows:
                    taken = (rows - before) / (time.monotonic() - start)
                    of_cpu = (rows - before) / (time.process_time() - cpu)
                    asked = [text_hash(str(rng.randrange(rows))) for _ in range(min(LOOKED_UP, rows))]
                    start = time.monotonic()
                    assert len(store.find(asked)) == len(set(asked))
                    found = len(asked) / (time.monotonic() - start)
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
                    size = sum(file.stat().st_size for file in Path(place).iterdir()) / 1e9
                    print(
                        f"| {rows:,} | {taken:,.0f} | {of_cpu:,.0f} | {found:,.0f} | {size:.2f} | {peak:.2f} |",
                        flush=True,
                    )
                    start, cpu, before = time.monotonic(), time.process_time(), rows
            start = time.monotonic()
            damaged = store.drop_damaged()
            print(f"\nthe whole file checked in {time.monotonic() - start:,.0f} s; {damaged} damaged (load {load()})")


if __name__ == "__main__":
    main()
