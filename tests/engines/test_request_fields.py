"""A field that a server rejects in any vendor's words is left out or renamed; a request that needs it is not."""

from __future__ import annotations

import json
import sys

import pytest

from refusal_stability.engines.http import chat_completions
from refusal_stability.engines.http.errors import read_error
from refusal_stability.engines.http.request_fields import RequestFields
from refusal_stability.engines.http.transport import written
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Message, Request, Sampling

WORDINGS = [
    "Unrecognized request argument supplied: {}",
    "Unsupported parameter: '{}' is not supported with this model.",
    "{}: Extra inputs are not permitted",
    "create() got an unexpected keyword argument '{}'",
    "'{}' is not a valid parameter",
    "Invalid parameter: {}",
    "{} should not be set for reasoning models",
    "The parameter {} must be omitted",
    "Parameter {} isn't supported",
    "This model doesn't accept {}",
    "{} is not recognized",
    "Please remove {}: no such parameter",
    "{} is not configurable for this model",
]
FOR_TEMPERATURE = [
    "invalid {}: only 1 is allowed for this model",
    "`{}` may only be set to 1 when thinking is enabled",
    "`{}` must be strictly positive",
]


def adapted(wording: str, field: str, temperature: float, judges: bool) -> bool:
    """Whether the field leaves the request once the server has rejected it."""
    fields = RequestFields(OpenAISettings(), "m")
    request = Request((Message("user", "x"),), Sampling(temperature, 1, 1), judges=judges)
    for _ in range(3):
        sent = fields.written(chat_completions.body("m", request.messages, request, "json_schema"), request)
        if field not in sent:
            return True
        answer = {"error": {"message": wording.format(field)}}
        error = read_error(400, {}, answer, json.dumps(answer))
        assert error is not None
        assert error.meaning is None
        if not fields.adapt(error, sent, request):
            return False
    return False


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("field", ["top_p", "top_k", "seed", "max_tokens"])
def test_a_field_gives_way(wording: str, field: str) -> None:
    assert adapted(wording, field, 0.7, judges=False)


@pytest.mark.parametrize("wording", [*WORDINGS, *FOR_TEMPERATURE])
def test_a_judges_temperature_gives_way_and_a_models_does_not(wording: str) -> None:
    assert adapted(wording, "temperature", 0.0, judges=True)
    assert not adapted(wording, "temperature", 0.7, judges=False)


@pytest.mark.parametrize("text", ["plain", "caf\u00e9 \U0001f600", 'quoted "x"\n', "half a letter \ud800"])
@pytest.mark.parametrize("seed", [2**31 - 1, 2**70])
def test_a_body_is_the_same_json_whoever_writes_it(text: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"messages": [{"role": "user", "content": text}], "temperature": 0.7, "seed": seed, "more": [None, {}]}
    assert json.loads(written(asked)) == asked
    # As in an environment that has only Python's own.
    monkeypatch.setitem(sys.modules, "orjson", None)
    assert json.loads(written(asked)) == asked
