"""A published study as data: where it comes from, which files it has, and how they are read.

A study is a folder `studies/<name>/` with `source.yaml` and `figures.csv`, and the study file `studies/<name>.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from pathlib import Path

import yaml
from pydantic.dataclasses import dataclass

from refusal_stability.exchange.table_map import TableMap
from refusal_stability.files import STUDIES
from refusal_stability.params.checks import SECTION, Flag, ParamsError, Sha256, Text, parsed
from refusal_stability.records import StudyError

# The studies that the Makefile names.
OWN_TARGETS = ("published", "refusalbench")


class PublishedDataError(StudyError):
    """The published data cannot be had or used: says what was tried, and the remedy."""


@dataclass(config=SECTION)
class SourceFile:
    """`source.yaml`: the published data at a commit of their repository.

    `files` are patterns of paths there; `needed` are those without which nothing runs. `sha256` pins files whose
    figures are known. `data` is the folder that the data go to. `table` maps a plain table, which is then written as
    recorded responses and labels; without it the data keep their layout. `pooling`: show what pooling the models does.
    """

    title: Text
    question: Text
    citation: Text
    licence: Text
    url: Text
    commit: Text
    data: Text
    files: list[Text]
    needed: list[Text]
    sha256: dict[Text, Sha256] = field(default_factory=dict)
    table: TableMap | None = None
    pooling: Flag = False


@plain_dataclass(frozen=True)
class Replication:
    """One entry: its name and what its `source.yaml` says."""

    name: str
    source: SourceFile

    @property
    def data(self) -> Path:
        """The folder that its data go to."""
        return Path(self.source.data)

    @property
    def study(self) -> Path:
        """Its study file."""
        return STUDIES / f"{self.name}.yaml"

    @property
    def figures(self) -> Path:
        """The published figures, with tolerance and source."""
        return STUDIES / self.name / "figures.csv"

    @property
    def from_a_folder(self) -> str:
        """The remedy where git or the network fails."""
        is_own = self.name in OWN_TARGETS
        target = f"{self.name} {self.name.upper()}=path" if is_own else f"replicate NAME={self.name} DATA=path"
        return f"give the data as a folder: make {target}"


def read_replication(name: str, studies: Path = STUDIES) -> Replication:
    """The entry of a name; raises where there is none, or where its file has a wrong key."""
    path = studies / name / "source.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.parent.name for file in studies.glob("*/source.yaml"))) or "none"
        raise PublishedDataError(f"{path}: no such file; published studies here: {known}")
    try:
        return Replication(name, parsed(SourceFile, yaml.safe_load(path.read_text(encoding="utf-8"))))
    except (yaml.YAMLError, UnicodeDecodeError, ParamsError) as error:
        raise PublishedDataError(f"{path}: {' '.join(str(error).split())[:300]}") from error
