"""Open the explorer: Streamlit on this machine only, without its statistics, watcher and downloads."""

from __future__ import annotations

from pathlib import Path

# `views` is for the page, which would import it while a person waits.
from refusal_stability.explorer import study
from refusal_stability.figures.palette import DECISION_COLOURS, INK
from refusal_stability.local_port import HOST, require_free
from refusal_stability.records import Decision

# A page of another site that has its name lead here must not read the study.
HOST_NAMES = (HOST, "localhost")
PAGE = Path(study.__file__).with_name("app.py")
SETTINGS = {
    "server.address": HOST,
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": HOST,
    "client.toolbarMode": "viewer",
    "client.showErrorLinks": "false",
    # Streamlit's welcome offers, on the page too, what would write into the user's project. `run` says where to look.
    "logger.hideWelcomeMessage": "true",
    "runner.magicEnabled": "false",
    # The page follows the browser's choice of light or dark. The figures' dark blue cannot be read on dark.
    "theme.light.primaryColor": DECISION_COLOURS[Decision.REFUSE],
    "theme.light.textColor": INK,
    "theme.dark.primaryColor": "#8FBBE8",
    "global.suppressDeprecationWarnings": "true",
}


def run(params_path: Path, port: int, headless: bool) -> None:
    """Check that there is a study to show, then serve it until the process is ended.

    The server is this same process: what the check has imported and read, the first page need not wait for.
    """
    study.prompts_now(params_path)
    require_free(port, "make explore PORT=8502")
    from streamlit import net_util
    from streamlit.web import cli

    # Streamlit would look for this machine's address by way of public ones when a page of another origin calls.
    net_util.get_external_ip = net_util.get_internal_ip = lambda: None
    print(f"Explorer: http://{HOST}:{port} (stop with Ctrl+C)", flush=True)
    cli.main(arguments(params_path, port, headless), prog_name="streamlit")


def arguments(params_path: Path, port: int, headless: bool) -> list[str]:
    """Streamlit's arguments."""
    settings = SETTINGS | {"server.port": str(port), "server.headless": str(headless).lower()}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    flags += [f"--server.allowedHosts={name}" for name in HOST_NAMES]
    return ["run", str(PAGE), *flags, "--", str(params_path)]
