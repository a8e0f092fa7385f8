"""What a table holds: its columns, their kinds, its key, and what each column means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = {"text": "string", "number": "float64", "whole": "int64", "flag": "bool"}


@dataclass(frozen=True)
class Contract:
    """What a table holds.

    Attributes
    ----------
    name : what the table is called in messages and documents.
    columns : column -> kind, one of `text`, `number` (may be empty: not defined), `whole`, `flag`; in file order.
    key : the columns whose values name a row; no two rows share them.
    meaning : column -> one sentence for the column dictionary.
    older : a column that tables of earlier versions lack -> its values there, made from the whole table.
    opened_by_people : whether texts are written so that no spreadsheet runs one as a formula; readers undo it.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    meaning: Mapping[str, str]
    older: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    opened_by_people: bool = False
