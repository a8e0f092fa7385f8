"""Ray itself: found, imported, and joined to a running cluster or started on this machine."""

from __future__ import annotations

import math
import os
import socket
import sys
from pathlib import Path
from typing import Any

from refusal_stability.engines.protocol import EngineError
from refusal_stability.params.engines.ray import RaySettings

ENVIRONMENT = Path(".venv-ray")
MOST_STARTS = 3
LONGEST_CONNECT_S = 60.0
# Completions of one chunk are what passes through it.
OBJECT_STORE_BYTES = 200_000_000
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# Ray then takes the loopback address for the machine's own, and its servers listen nowhere else.
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def joined_ray(settings: RaySettings, where: str) -> Any:
    """Ray, joined to the cluster that the settings name, or to one that is started here.

    Parameters
    ----------
    settings : the address, and what a cluster of this machine needs.
    where : the model's key in params.yaml, for error messages.

    Raises
    ------
    EngineError
        Ray is not installed, does not start, or no cluster answers.
    """
    ray = _imported(where, settings.address is None)
    local: dict[str, Any] = {}
    if settings.address is None:
        local = {
            "num_cpus": max(os.cpu_count() or 1, math.ceil(settings.replicas * settings.cpus_per_replica)),
            "include_dashboard": settings.dashboard,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    for tries_left in reversed(range(MOST_STARTS)):
        try:
            if settings.address is not None:
                _reach(ray, settings.address)
            ray.init(address=settings.address or "local", configure_logging=False, log_to_driver=False, **local)
            return ray
        except Exception as error:
            # Of a start that takes over half a minute, as on a busy machine, Ray raises a bare Exception.
            ray.shutdown()
            if tries_left and settings.address is None:
                continue
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise EngineError(
                f"{where}.settings.address: Ray does not start, or no cluster answers at "
                f"{settings.address or 'this machine'} ({first}); start one with `ray start --head`, or correct "
                "the address; one that asks for a token needs RAY_AUTH_MODE=token here too"
            ) from error
    raise AssertionError


def _reach(ray: Any, address: str) -> None:
    """Fail at once where nothing listens, which Ray tries for 15 minutes; show the token where one is asked for."""
    from ray._private.authentication import authentication_token_setup as setup
    from ray._private.services import canonicalize_bootstrap_address

    found = str(canonicalize_bootstrap_address(address) or "")
    host, _, port = found.rpartition(":")
    if not port:
        return
    with socket.create_connection((host.strip("[]"), int(port)), timeout=LONGEST_CONNECT_S):
        pass
    try:
        ray._raylet.GcsClient(address=found)
    except ray.exceptions.AuthenticationError:
        # Of itself, Ray shows it to a cluster that it found without an address only.
        setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _imported(where: str, alone: bool) -> Any:
    """Ray, from the environment or from the folder of its own beside it; quiet, and without reports to its makers."""
    os.environ |= QUIET | (LOOPBACK_ONLY if alone else {})
    folder = str(ENVIRONMENT.absolute())
    if ENVIRONMENT.is_dir() and folder not in sys.path:
        # At the end: what both have, the environment decides.
        sys.path.append(folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        import ray
        import ray.exceptions
        from ray._private import ray_constants as constants
    except ImportError as error:
        raise EngineError(
            f"{where}.engine: Ray is not installed; `make ray` puts it into {ENVIRONMENT}, which the stage then finds "
            "by itself"
        ) from error
    # Something else may have imported Ray before the environment said so.
    constants.ENABLE_RAY_CLUSTER = not alone
    return ray
