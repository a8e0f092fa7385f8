"""Simulated studies -> how often the intervals cover the true value, as a page of the documentation."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refusal_stability.files import atomic_write
from refusal_stability.measures.coverage import PRIOR, STEADY, Block, count_hits, coverage_page, true_figures
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.estimates import Row
from refusal_stability.params.metrics import MetricsParams
from refusal_stability.progress import progress
from refusal_stability.records import StudyError
from refusal_stability.study.label_files import settings_of

PAGE = Path("docs/coverage.md")
CHUNK = 50  # studies per task of a process


def run(studies: int, sizes: list[int], seed: int, n_resamples: int, page: Path = PAGE) -> None:
    """Simulate the studies on every core; write the coverage by prior, figure and size."""
    for option, value, least in (("--studies", studies, 1), ("--prompts", min(sizes), 2)):
        if value < least:
            raise StudyError(f"{option}: {value} is not allowed; a whole number of at least {least}")
    metrics = MetricsParams(n_resamples=n_resamples, seed=seed)
    blocks = []
    # a fresh interpreter for each process: threads of the libraries loaded here do not survive a fork
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for prior in (PRIOR, STEADY):
            block = Block(prior, true_figures(settings_of(metrics).resampling, prior), {})
            for size in sizes:
                chunks = [range(start, min(start + CHUNK, studies)) for start in range(0, studies, CHUNK)]
                counts = []
                with progress(f"prior {prior}, {size} prompts, studies", studies) as work:
                    for part in pool.map(partial(_chunk, size, prior, block.truth, metrics), chunks):
                        counts.append(part)
                        work.reached(min(CHUNK * len(counts), studies), studies)
                held, defined = np.stack(counts).sum(axis=0)
                shares = held / np.maximum(defined, 1)
                block.shares[size] = shares
                print(f"prior {prior}, {size} prompts: {shares.min():.1%} to {shares.max():.1%}", flush=True)
            blocks.append(block)
    with atomic_write(page) as file:
        file.write(coverage_page(blocks[0], blocks[1], studies, seed, n_resamples))


def _chunk(size: int, prior: Floats, truth: Row, metrics: MetricsParams, studies: range) -> NDArray[np.int64]:
    return count_hits(size, studies, truth, settings_of(metrics).resampling, prior)
