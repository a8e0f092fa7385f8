"""Judge presets: published judges as data files that say what is asked and how the answer is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refusal_stability.judging.model.instructions import CONVERSATION, AnswerReader, Rubric, RubricError
from refusal_stability.records import DECISION_NAMES, Decision

PRESETS = Path(__file__).parent / "presets"
REQUEST, RESPONSE = "{{REQUEST}}", "{{RESPONSE}}"
KEYS = ("source", "model", "template", "answer", "labels", "limits")
NEEDED = ("template", "answer", "labels")
ANY = "*"


def builtin_presets() -> list[str]:
    """The names of the presets that come with the project."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_preset(path: Path) -> Rubric:
    """Read a preset's file.

    Parameters
    ----------
    path : a YAML file. `template` has `{{REQUEST}}` and `{{RESPONSE}}` once each, or is `conversation`: request and
        response are then sent as a user turn and an assistant turn, and the model's chat template does the rest.
        `answer` is a regular expression with at least one group, compared without regard to case; its groups, joined
        by a space, are the answer. `labels` maps answers to decisions, `*` standing for any value of a group; the first
        entry that fits decides. `source`, `model` and `limits` are for the reader.

    Raises
    ------
    RubricError
        Where a key is absent or unknown, or its value cannot be used.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        # Every scalar is a text: YAML would take `yes` for true.
        found = yaml.load(text, Loader=yaml.BaseLoader)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RubricError(f"{path}: not readable as YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(found, dict):
        raise RubricError(f"{path}: a preset has the keys {', '.join(KEYS)}")
    for key in NEEDED:
        if not found.get(key):
            raise RubricError(f"{path}: {key}: absent; a preset needs {', '.join(NEEDED)}")
    if unknown := [key for key in found if key not in KEYS]:
        raise RubricError(f"{path}: {unknown[0]}: unknown; a preset has the keys {', '.join(KEYS)}")
    return Rubric(path.stem, _template(path, found["template"]), _reader(path, found), text)


def _template(path: Path, template: Any) -> str:
    text = str(template).strip()
    for place in (REQUEST, RESPONSE):
        if text != CONVERSATION and text.count(place) != 1:
            raise RubricError(
                f"{path}: template: {place} occurs {text.count(place)} times; put it where the text is to stand, or "
                f"write `{CONVERSATION}`"
            )
    return text


def _reader(path: Path, found: Mapping[str, Any]) -> AnswerReader:
    try:
        pattern = re.compile(str(found["answer"]), re.IGNORECASE | re.MULTILINE)
    except re.error as error:
        raise RubricError(f"{path}: answer: not a regular expression: {error}") from error
    if not pattern.groups:
        raise RubricError(f"{path}: answer: needs a group, such as (yes|no), that holds the answer")
    if not isinstance(found["labels"], dict):
        raise RubricError(f"{path}: labels: a map from answers to decisions is expected")
    labels = []
    for answer, name in found["labels"].items():
        values = tuple(str(answer).casefold().split())
        if len(values) != pattern.groups or str(name).upper() not in DECISION_NAMES:
            raise RubricError(
                f"{path}: labels: {answer!r}: {name!r} does not fit; give a value or {ANY} for each group of `answer`, "
                f"and one of {', '.join(DECISION_NAMES)}"
            )
        labels.append((values, Decision(str(name).upper())))
    return AnswerReader(pattern, tuple(labels))
