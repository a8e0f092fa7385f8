"""A study's tables as a data package: `datapackage.json` describes every file and column (Frictionless, version 1)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.exchange.response_table import LABELS_MEANING, RESPONSE_COLUMNS
from refusal_stability.tables.contract import Contract

TYPES = {"text": "string", "number": "number", "whole": "integer", "flag": "boolean"}


def data_package(study: str, title: str, folder: Path, tables: dict[Path, Contract], responses: Path) -> dict[str, Any]:
    """The package of a folder: the Parquet file of responses, and CSV tables with their contracts."""
    resources = [_responses(folder, responses)]
    for path, contract in tables.items():
        fields = [
            {"name": name, "type": TYPES[kind], "description": contract.meaning.get(name, "")}
            for name, kind in contract.columns.items()
        ]
        resources.append(
            {
                **_file(folder, path),
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "schema": {"fields": fields, **_key(path, contract), "missingValues": [""]},
            }
        )
    return {"profile": "data-package", "name": study, "title": title, "resources": resources}


def _key(path: Path, contract: Contract) -> dict[str, Any]:
    """A table's primary key; none where a cell of it is empty, as that of a figure over all temperatures is."""
    cells = pd.read_csv(path, usecols=list(contract.key), dtype=str, keep_default_na=False)
    return {} if (cells == "").any(axis=None) else {"primaryKey": list(contract.key)}


def _responses(folder: Path, path: Path) -> dict[str, Any]:
    fields = [
        {"name": n, "type": TYPES[kind], "description": meaning} for n, (kind, meaning) in RESPONSE_COLUMNS.items()
    ]
    # Readers give the list as an array of their own, which is no JSON array.
    fields.append({"name": "labels", "type": "any", "description": LABELS_MEANING})
    key = ["model", "intervention", "temperature", "seed", "prompt_id"]
    about = {"format": "parquet", "mediatype": "application/vnd.apache.parquet"}
    file = _file(folder, path)
    # Frictionless does not count the bytes of a Parquet file, and calls it invalid for their number.
    del file["bytes"]
    return {**file, **about, "schema": {"fields": fields, "primaryKey": key}}


def _file(folder: Path, path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "name": path.stem.replace("_", "-").lower(),
        "path": path.relative_to(folder).as_posix(),
        "bytes": len(content),
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }
