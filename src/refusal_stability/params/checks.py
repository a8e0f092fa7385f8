"""Checks on parameters; an error names the key, its value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from refusal_stability.records import (
    StudyError,
)

# OmegaConf's names of types in its messages -> words for people.
WORDS_FOR_TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]*")


class ParamsError(StudyError):
    """A parameter that cannot be used: names the key, its value and what is allowed."""


T = TypeVar("T")


def typed(schema: type[T], values: Mapping[Any, Any], prefix: str) -> T:
    """A plain mapping as the dataclass `schema`; an error gives `prefix` and the key, the value and what is allowed."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    for name, value in values.items():
        _check_key(schema, name, prefix + str(name))
        _check_shape(get_type_hints(schema)[name], value, prefix + name)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(dict(values)))
        result = OmegaConf.to_object(merged)
    except MissingMandatoryValue as error:
        raise ParamsError(f"{prefix}{error.full_key or error.key}: required, but not given") from error
    except OmegaConfBaseException as error:
        reason = str(error.msg or error).splitlines()[0]
        for kind, allowed in WORDS_FOR_TYPES.items():
            if reason.endswith(f"could not be converted to {kind}"):
                reason += f"; allowed: {allowed}"
        raise ParamsError(f"{prefix}{error.full_key or error.key}: {reason}") from error
    assert isinstance(result, schema)
    return result


def _check_key(schema: Any, name: object, key: str) -> None:
    allowed = [f.name for f in fields(schema)]
    if name not in allowed:
        raise ParamsError(f"{key}: unknown key; allowed here: {', '.join(allowed)}")


def _check_shape(kind: Any, value: Any, key: str) -> None:
    """Hold sections, lists and keys against their types, since OmegaConf names no full key for what is wrong there."""
    if isinstance(kind, UnionType):
        if value is None:
            return
        kind = next(k for k in get_args(kind) if k is not NoneType)
    if isinstance(value, str):
        literal = "${" not in value and value != "???"
        require(literal, key, value, "a text without ${ and other than ???, which DVC and OmegaConf take for their own")
    if is_dataclass(kind) or get_origin(kind) is dict:
        require(isinstance(value, dict), key, value, "a section of keys and values")
        for name, inner in value.items():
            if is_dataclass(kind):
                _check_key(kind, name, f"{key}.{name}")
            require(isinstance(name, str), f"{key}.{name}", name, "a key that is a text (put it in quotes)")
            _check_shape(
                get_type_hints(kind)[name] if is_dataclass(kind) else get_args(kind)[1], inner, f"{key}.{name}"
            )
    elif get_origin(kind) is list:
        require(isinstance(value, list), key, value, "a list, like [a, b]")
        for position, inner in enumerate(value):
            _check_shape(get_args(kind)[0], inner, f"{key}[{position}]")
    elif kind is Any and isinstance(value, dict | list):
        _check_shape(dict[str, Any] if isinstance(value, dict) else list[Any], value, key)
    elif isinstance(value, dict | list):
        require(False, key, value, f"one value of type {kind.__name__}")


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    if not condition:
        raise ParamsError(f"{key}: {value!r} is not allowed; allowed: {allowed}")


def one_of(names: Any) -> str:
    return "one of " + ", ".join(names)


def check_name(name: object, key: str) -> None:
    require(
        isinstance(name, str) and NAME_PATTERN.fullmatch(name) is not None,
        key,
        name,
        "a name of lower-case letters, digits, - and _ (it becomes a folder and a DVC stage, which take no dots)",
    )


def check_unique(values: list[Any], key: str) -> None:
    repeated = sorted({v for v in values if values.count(v) > 1})
    require(bool(values), key, values, "at least one value")
    require(not repeated, key, values, f"each value once; repeated: {', '.join(map(str, repeated))}")
