"""A classifier as a JSON file.

Judge files are often shared, so a file is data and never code: no pickle, and every field is checked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from refusal_stability.files import atomic_write
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.judging.trained.classifier import ANALYZERS, DENSE, Classifier, Floats
from refusal_stability.judging.trained.encoder import known_encoder
from refusal_stability.records import Decision, StudyError

FORMAT = "refusal-stability trained judge, version 1"
MAX_TERMS = 500_000


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write a classifier as JSON; numbers keep seven significant digits."""
    kept = {
        "format": FORMAT,
        "about": dict(classifier.about),
        "classes": [str(c) for c in classifier.classes],
        "temperature": _rounded(classifier.temperature),
        "intercepts": [_rounded(x) for x in classifier.intercepts],
        "dense": list(DENSE),
        "encoder": classifier.encoder.record() if classifier.encoder else None,
        "vocabularies": {
            name: {"terms": terms, "frequencies": [_rounded(x) for x in frequencies]}
            for name, (terms, frequencies) in classifier.vocabularies.items()
        },
        "coefficients": [[_rounded(x) for x in row] for row in classifier.coefficients],
    }
    with atomic_write(path) as file:
        json.dump(kept, file, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def _rounded(value: float) -> float:
    return float(f"{value:.7g}")


def load_classifier(path: Path) -> Classifier:
    """Read a classifier's file and check every field.

    Raises
    ------
    JudgingError
        Where the file is absent, is not JSON of this format, or its parts do not fit together.
    """
    if not path.is_file():
        raise JudgingError(f"{path}: no such judge file; make one with `refusal-stability train-judge`")
    try:
        kept = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
        return _checked(kept)
    except StudyError as error:
        raise JudgingError(f"{path}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise JudgingError(
            f"{path}: not a trained judge's file ({reason}); make a new one with `refusal-stability train-judge`"
        ) from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def _checked(kept: Any) -> Classifier:
    if kept["format"] != FORMAT:
        raise ValueError(f"format {str(kept['format'])[:60]!r}, expected {FORMAT!r}")
    if kept["dense"] != list(DENSE):
        raise ValueError("its dense features are not those of this version")
    classes = tuple(Decision(name) for name in kept["classes"])
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError(f"needs 2 to {len(Decision)} different decisions")
    vocabularies = {}
    any_language = not kept["vocabularies"] and kept.get("encoder") is not None
    if not any_language and list(kept["vocabularies"]) != list(ANALYZERS):
        raise ValueError(f"vocabularies of {', '.join(ANALYZERS)} expected, or none beside an encoder")
    for name, vocabulary in kept["vocabularies"].items():
        terms = vocabulary["terms"]
        if (
            not terms
            or len(terms) > MAX_TERMS
            or not all(isinstance(t, str) for t in terms)
            or len(set(terms)) != len(terms)
        ):
            raise ValueError(f"the terms of {name} are not different texts")
        vocabularies[name] = (terms, _numbers(vocabulary["frequencies"], (len(terms),)))
    encoder = known_encoder(kept["encoder"]) if kept.get("encoder") is not None else None
    width = sum(len(terms) for terms, _ in vocabularies.values()) + (0 if any_language else len(DENSE))
    width += encoder.width if encoder else 0
    coefficients = _numbers(kept["coefficients"], (len(classes), width))
    intercepts = _numbers(kept["intercepts"], (len(classes),))
    temperature = float(_numbers(kept["temperature"], ()))
    if temperature <= 0:
        raise ValueError("a temperature over 0 expected")
    return Classifier(classes, vocabularies, coefficients, intercepts, temperature, dict(kept["about"]), encoder)


def _numbers(values: Any, shape: tuple[int, ...]) -> Floats:
    flat = values if shape else [values]
    for row in flat if len(shape) == 2 else [flat]:
        if not isinstance(row, list) or not all(type(x) in (int, float) for x in row):
            raise ValueError("numbers expected")
    numbers = np.array(values, dtype=np.float64)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(f"finite numbers of shape {shape} expected, found {numbers.shape}")
    return numbers
