"""Ask a server whether it is there, has the model, and takes batches: by GETs that no vendor charges for."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from refusal_stability.engines.http.batch.engine import ENDPOINTS
from refusal_stability.engines.http.engine import PROTOCOLS
from refusal_stability.engines.http.errors import one_line
from refusal_stability.engines.http.presets import with_preset
from refusal_stability.engines.http.transport import Reply, Transport
from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings

PATIENCE_S = 10
SHOWN = 5
NAME_LENGTH = 60
# These answer to a name that they do not list: the file that was loaded, a deployment.
ANY_NAME = ("llama.cpp", "azure")


def needed_variables(settings: OpenAISettings, where: str) -> list[str]:
    """The environment variables that hold the server's secrets.

    Parameters
    ----------
    settings : of the model.
    where : the model's key in params.yaml, for error messages.
    """
    settings = with_preset(settings, where)
    values = (*settings.headers.values(), *settings.query.values())
    named = [settings.api_key_env, *(value["env"] for value in values if isinstance(value, dict))]
    return [name for name in dict.fromkeys(named) if name]


def server_found(model: ModelParams, settings: OpenAISettings, where: str) -> str:
    """What a server says of the model, in a few words.

    Parameters
    ----------
    model : `path` is its name at the server.
    settings : address and secrets.
    where : the model's key in params.yaml, for error messages.

    Raises
    ------
    EngineError
        A secret is not set, nothing answers, the key is rejected, or the server's list lacks the model.
    """
    settings = with_preset(settings, where)
    protocol = PROTOCOLS[settings.protocol]
    transport = Transport(settings, protocol.PATH, protocol.auth_headers, where)
    transport.read_secrets()
    address = transport.address.removesuffix(protocol.PATH) + "/models"
    reply = asyncio.run(_reply_of(transport, address, f"{where}.settings.base_url: {settings.base_url}"))
    if reply.status in (401, 403):
        variable = settings.api_key_env
        key = f"the key in the environment variable {variable}" if variable else "a request without a key"
        raise EngineError(
            f"{where}.settings.api_key_env: {settings.base_url} rejects {key} (HTTP {reply.status}); give the name of "
            "a variable that holds a key valid for this server"
        )
    names = _names(reply)
    if names is None:
        hint = "" if urlsplit(settings.base_url).path.strip("/") else "; most such addresses end in /v1"
        return f"{settings.base_url} answers; it has no list of models (HTTP {reply.status}){hint}"
    if model.path in {form for name in names for form in _forms(name)}:
        return f"{settings.base_url} answers and lists {model.path}"
    if settings.preset in ANY_NAME:
        return f"{settings.base_url} answers"
    listed = ", ".join(one_line(transport.clean(name))[:NAME_LENGTH] for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    raise EngineError(
        f"{where}.path: {settings.base_url} does not list {model.path!r}; it lists: {listed or 'none'}{more}; correct "
        "the model's name at the server"
    )


def batches_found(settings: OpenAISettings, where: str) -> str:
    """What a server says of its batches, in a few words.

    Parameters
    ----------
    settings : address and secrets.
    where : the model's key in params.yaml, for error messages.

    Raises
    ------
    EngineError
        A secret is not set, nothing answers, or the server has no batches.
    """
    settings = with_preset(settings, where)
    protocol = PROTOCOLS[settings.protocol]
    endpoints = ENDPOINTS[settings.protocol](settings, protocol.PATH, protocol.auth_headers, where)
    endpoints.read_secrets()
    address = endpoints.address.removesuffix(protocol.PATH) + endpoints.LIST
    reply = asyncio.run(_reply_of(endpoints, address, f"{where}.settings.base_url: {settings.base_url}"))
    if reply.status == 404:
        raise EngineError(f"{where}.settings.batch: {settings.base_url} has no batches (HTTP 404); set it to false")
    if _names(reply) is None:
        return f"{settings.base_url} does not say whether it takes batches (HTTP {reply.status})"
    return f"{settings.base_url} takes batches"


async def _reply_of(transport: Transport, address: str, what: str) -> Reply:
    import aiohttp

    try:
        async with transport.open():
            return await asyncio.wait_for(transport.look(address), PATIENCE_S)
    except asyncio.TimeoutError as error:
        raise EngineError(f"{what} does not answer within {PATIENCE_S} s; check the server and the address") from error
    except (aiohttp.ClientError, ValueError) as error:
        reason = one_line(transport.clean(str(getattr(error, "os_error", error))))
        raise EngineError(
            f"{what}: nothing answers there ({reason}); start the server, or correct the address"
        ) from error


def _names(reply: Reply) -> list[str] | None:
    """The names of the server's models; None where the reply is no list."""
    listed: Any = reply.answer.get("data") if isinstance(reply.answer, dict) else None
    if reply.status != 200 or not isinstance(listed, list):
        return None
    return [item["id"] for item in listed if isinstance(item, dict) and isinstance(item.get("id"), str)]


def _forms(name: str) -> tuple[str, ...]:
    """A name as a study may write it: Ollama's tag and Gemini's folder may be left out."""
    return (name, name.removesuffix(":latest"), name.removeprefix("models/"))
