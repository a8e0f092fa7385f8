"""Time the metrics stage on synthetic label files, from 20 thousand labels to 20 million.

Run: `python benchmarks/metrics_growth.py [PROMPTS ...]`; the default is 1,000 10,000 100,000 1,000,000. Each size runs
in a process of its own, on files that the stage reads as it reads any study's (20 CSV files, one a configuration).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = (1_000, 10_000, 100_000, 1_000_000)
TEMPERATURES, SEEDS = (0.0, 0.3, 0.7, 1.0), (42, 43, 44, 45, 46)


def lay_out(n_prompts: int) -> None:
    """Write params.yaml, prompts and labels of one model into the working directory."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv
    import yaml

    from refusal_stability import artifacts
    from refusal_stability.records import DECISIONS, Condition

    params = {
        "study": "growth",
        "interventions": {"none": {}},
        "sampling": {"temperatures": list(TEMPERATURES), "seeds": list(SEEDS)},
        "models": {"synthetic": {"path": "nowhere"}},
        "judging": {"primary": "rules", "judges": {"rules": {"kind": "rules"}}},
    }
    Path("params.yaml").write_text(yaml.safe_dump(params))
    rng = np.random.default_rng(0)
    ids = pa.array([f"{i:016x}" for i in range(n_prompts)])
    categories = np.array(
        [f"category {i % 14}" + ("|category 3" if i % 5 == 0 else "") for i in range(70)], dtype=object
    )
    prompts = {
        "prompt_id": ids,
        "prompt": pc.binary_join_element_wise(pa.scalar("a request numbered"), ids, " "),
        "category": pa.array(categories[np.arange(n_prompts) % 70]),
        "source": pa.repeat("synthetic", n_prompts),
    }
    artifacts.PROMPTS.parent.mkdir(parents=True)
    pyarrow.csv.write_csv(pa.table(prompts), artifacts.PROMPTS)
    names = pa.array([*map(str, DECISIONS), ""])
    shares = rng.dirichlet([0.5, 0.15, 0.1], size=n_prompts)
    for temperature in TEMPERATURES:
        sharpened = shares ** (1 / (0.2 + temperature))
        edges = np.cumsum(sharpened / sharpened.sum(axis=1, keepdims=True), axis=1)[:, :2]
        for seed in SEEDS:
            condition = Condition("synthetic", "none", temperature, seed)
            codes = (rng.random(n_prompts)[:, None] > edges).sum(axis=1)
            codes[rng.random(n_prompts) < 0.001] = 3
            table = {
                "prompt_id": ids,
                "model": pa.repeat("synthetic", n_prompts),
                "intervention": pa.repeat("none", n_prompts),
                "temperature": pa.repeat(temperature, n_prompts),
                "seed": pa.repeat(seed, n_prompts),
                "judge": pa.repeat("rules", n_prompts),
                "repeat": pa.repeat(0, n_prompts),
                "label": names.take(pa.array(codes)),
                "reasoning": pa.repeat("a rule of the rule judge decided this response", n_prompts),
                "missing_reason": pa.array(["", "verdict could not be read"]).take(pa.array((codes == 3).astype(int))),
            }
            path = artifacts.label_file(condition)
            path.parent.mkdir(parents=True, exist_ok=True)
            pyarrow.csv.write_csv(pa.table(table), path)


def measure() -> None:
    """Run the stage in the working directory and print its seconds and peak memory as JSON."""
    start = time.perf_counter()
    from refusal_stability.stages import metrics

    metrics.run(Path("params.yaml"))
    seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024}))


def main(sizes: list[int]) -> None:
    """Print a row for each size."""
    print(f"{'labels':>12} {'seconds':>9} {'CPU s':>8} {'peak MiB':>9} {'µs a label':>11}")
    for n_prompts in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("--lay-out", "--measure"):
                command = [sys.executable, __file__, step, str(n_prompts)]
                output = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
            found = json.loads(output)
        labels = n_prompts * len(TEMPERATURES) * len(SEEDS)
        each = 1e6 * found["seconds"] / labels
        print(
            f"{labels:>12,} {found['seconds']:>9.1f} {found['cpu']:>8.1f} {found['mib']:>9.0f} {each:>11.1f}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--lay-out"]:
        lay_out(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--measure"]:
        os.environ.setdefault("OMP_NUM_THREADS", "2")
        measure()
    else:
        main([int(size.replace(",", "")) for size in sys.argv[1:]] or list(SIZES))
