"""One run as MLflow should show it, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from refusal_stability.records import content_hash

# Raise this when runs must be logged again although their inputs are unchanged, e.g. for another drawing.
LAYOUT = 2


@dataclass(frozen=True)
class RunPlan:
    """One run as it should be in MLflow.

    Attributes
    ----------
    cell : the run's identity; plans with the same cell are versions of one run.
    parent : the cell of the run that this one is nested under; None for a model's run.
    note : the run's description, in Markdown.
    data_files : the files behind the run, by data set name.
    inputs : hashes of whatever else goes into the artifacts.
    machine_metrics, machine_tags : true of this machine and moment (speed, device, git commit). A difference in
        these alone does not log a run again.
    write : writes the artifacts into a folder.
    responses : makes the table of prompts, decisions and responses, which MLflow compares across runs.
    """

    name: str
    cell: str
    parent: str | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    note: str
    data_files: Mapping[str, Path]
    inputs: Mapping[str, str]
    machine_metrics: Mapping[str, float]
    machine_tags: Mapping[str, str]
    write: Callable[[Path], None]
    responses: Callable[[], pd.DataFrame]

    @property
    def level(self) -> str:
        """What the run is one for each of: `model`, `temperature` or `run`."""
        return self.tags["level"]

    @property
    def content(self) -> str:
        """A digest of all that is logged of the study itself."""
        logged = (self.params, self.metrics, self.tags, self.inputs)
        return content_hash([LAYOUT, self.name, self.note, *map(dict, logged)])[:16]
