"""What the fields of `params.yaml` are made of, and the words for a value that does not fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from refusal_stability.records import StudyError

# Every section of the parameters is a pydantic dataclass with this configuration.
SECTION = ConfigDict(extra="forbid", allow_inf_nan=False)
# Files are named after them, and a file's name takes 255 bytes.
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
# pydantic's kinds of error -> what is allowed instead.
ALLOWED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text (put it in quotes)",
    "list_type": "a list, like [a, b]",
    "dict_type": "a section of keys and values",
    "dataclass_type": "a section of keys and values",
    "greater_than": "a number over {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:,}",
}
SECRET = re.compile(r"(^|[._-])(key|token|secret|password)(_env)?$")
HIDDEN = object()
# A value may be a pasted file.
MOST_SHOWN = 300
T = TypeVar("T")


class ParamsError(StudyError, ValueError):
    """A parameter that cannot be used: the key, its value and what is allowed.

    A check raises it with a `key` below its own field or section; the whole key is put together on the way out.
    """

    def __init__(self, words: str, key: str = "") -> None:
        super().__init__(f"{key}: {words}" if key else words)
        self.words, self.key = words, key


def require(condition: object, key: str, value: object, allowed: str) -> None:
    """Refuse a value for which `condition` is false."""
    if not condition:
        raise ParamsError(_refused(key, value, allowed), key)


def rule(holds: Callable[[Any], object], allowed: str, secret: bool = False) -> AfterValidator:
    """A check on a field: where `holds` is false, the error says what is `allowed`; a `secret` is not repeated."""

    def check(value: Any) -> Any:
        require(holds(value), "", HIDDEN if secret else value, allowed)
        return value

    # For the page of parameters.
    check.__doc__ = allowed
    return AfterValidator(check)


def one_of(names: Iterable[str]) -> str:
    """The words for a choice."""
    return "one of " + ", ".join(names)


def among(*names: str) -> AfterValidator:
    """A check on a field that takes one of a few texts."""
    return rule(names.__contains__, one_of(names))


def _each_once(values: list[Any]) -> list[Any]:
    repeated = sorted(value for value, times in Counter(values).items() if times > 1)
    require(values, "", values, "at least one value")
    require(not repeated, "", values, f"each value once; repeated: {', '.join(map(str, repeated))}")
    return values


Flag = Annotated[bool, Strict()]
# What SQLite, JSON readers and arrays take as a whole number.
LARGEST = 2**63 - 1
Whole = Annotated[int, Strict(), Field(ge=-LARGEST, le=LARGEST)]
Number = Annotated[float, Strict()]
# A text that looks like a whole number needs no quotes: `study: 2026`.
Text = Annotated[str, Strict(), BeforeValidator(lambda value: str(value) if type(value) is int else value)]
NAMED = "a name of lower-case letters, digits, - and _, at most 100 (a folder and a DVC stage, which take no dots)"
Name = Annotated[Text, rule(NAME_PATTERN.fullmatch, NAMED)]
Sha256 = Annotated[Text, rule(re.compile(r"[0-9a-f]{64}").fullmatch, "null or 64 hexadecimal digits, lower case")]
AtLeast0 = Annotated[Whole, Field(ge=0)]
AtLeast1 = Annotated[Whole, Field(ge=1)]
Temperature = Annotated[
    Number,
    rule(lambda t: not str(t).startswith("-") and t <= 5, "a number from 0 to 5"),
    # Tables, file names and MLflow must mean the same one.
    rule(lambda t: float(f"{t:g}") == t, "a number of at most six digits"),
]
Share = Annotated[Number, rule(lambda share: 0 <= share <= 1, "a number from 0 to 1")]
EachOnce = AfterValidator(_each_once)


def parsed(schema: type[T], values: object, key: str = "") -> T:
    """Plain values as the section `schema`, which stands at `key`."""
    try:
        checked: T = TypeAdapter(schema).validate_python(values)
    except ValidationError as error:
        raise _first_problem(error, schema, key) from error
    return checked


def check_texts(value: object, key: str = "") -> None:
    """Refuse what YAML, DVC or OmegaConf take a text or a key for something else than it looks like."""
    if isinstance(value, str):
        allowed = "a text without ${ and other than ???, which DVC and OmegaConf take for their own"
        require("${" not in value and value != "???", key, value, allowed)
    elif isinstance(value, dict):
        for name, inner in value.items():
            require(isinstance(name, str), _below(key, str(name)), name, "a key that is a text (put it in quotes)")
            check_texts(inner, _below(key, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            check_texts(inner, _below(key, position))


def _first_problem(error: ValidationError, schema: Any, key: str) -> ParamsError:
    found = error.errors(include_url=False)[0]
    place = [part for part in found["loc"] if part != "[key]"]
    key, kind, context = _below(key, *place), found["type"], found.get("ctx", {})
    if isinstance(cause := context.get("error"), ParamsError):
        return ParamsError(cause.words, _below(key, cause.key))
    if kind == "unexpected_keyword_argument":
        return ParamsError(_unknown(str(place[-1]), _keys(schema, place[:-1])), key)
    if kind == "missing":
        return ParamsError("required, but not given", key)
    return ParamsError(_refused(key, found["input"], ALLOWED.get(kind, found["msg"]).format(**context)), key)


def _refused(key: str, value: object, allowed: str) -> str:
    """The words for a refused value; one that may be a secret is not repeated."""
    secret = value is HIDDEN or SECRET.search(key) or ("://" in str(value) and "@" in str(value))
    known = allowed.removeprefix("one of ").split(", ") if allowed.startswith("one of ") and not secret else []
    shown = repr(value)
    shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."
    near = nearest(str(value)[:MOST_SHOWN], known)
    return f"{'(not shown)' if secret else shown} is not allowed; allowed: {allowed}{near}"


def _below(key: str, *place: str | int) -> str:
    for part in place:
        key += f"[{part}]" if isinstance(part, int) else part if part.startswith("[") else f".{part}" if part else ""
    return key.removeprefix(".")


def _unknown(name: str, known: list[str]) -> str:
    return f"unknown key; allowed here: {', '.join(known) or 'none'}{nearest(name, known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The question whether the known name that is nearest was meant; nothing where none is near."""
    return "".join(f"; did you mean {word}?" for word in get_close_matches(name, known, 1))


def _keys(schema: Any, place: Iterable[str | int]) -> list[str]:
    """The keys that the section at `place` takes."""
    for part in place:
        schema = _bare(schema)
        schema = get_type_hints(schema)[str(part)] if is_dataclass(schema) else get_args(schema)[-1]
    return [field.name for field in fields(_bare(schema))]


def _bare(schema: Any) -> Any:
    """A type without `Annotated` and `| None`."""
    while get_origin(schema) is Annotated or NoneType in get_args(schema):
        schema = get_args(schema)[0]
    return schema
