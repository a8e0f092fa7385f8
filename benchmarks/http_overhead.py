"""The harness's own cost over HTTP: the stage `generate` against a loopback server that answers at once.

The server's answers have texts of about 530 bytes, as the published Llama responses. The stage runs as a user runs it
(`refusal-stability generate`), store on, in turn with a bare aiohttp loop that sends bodies of the same conversations
and keeps nothing. Client and server share the machine's cores.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from harness import Child, Finding, in_turn, main, ratios, run_child, stage_command
from http_study import CONCURRENCY, MODEL, PROMPTS, lay_out, requests, sending_seconds, stored
from loopback_server import serving

RATE_BAR, MEMORY_BAR = 1500.0, 500.0
SENDING_BAR, WHOLE_BAR = 0.75, 0.6
SENDING_BOUND = (
    "Client and server share the cores, and the loop keeps the client's busy with sending alone: 0.07 to 0.10 ms of "
    "CPU time a request, most of it in aiohttp's client. The stage takes 0.13 to 0.19 ms (with a load of 26; 0.19 to "
    "0.25 ms before in the same runs). About 0.04 ms of that is the store: keys are hashes, so each answer changes "
    "a database page of its own. The limit is 1, where none of it took time."
)
WHOLE_BOUND = (
    "Beside the sending, 0.07 to 0.08 ms of CPU time a request: to import the program, to make requests and keys, and "
    "to write a file for each configuration at the end. The loop does none of it."
)


def measure(quick: bool) -> list[Finding]:
    """Requests a second of the stage and of the bare loop, CPU a request, peak memory."""
    prompts, rounds = (25, 1) if quick else (PROMPTS, 3)
    asked = prompts * 20
    children: list[Child] = []
    sending: list[float] = []
    with tempfile.TemporaryDirectory() as place, serving() as port:

        def stage() -> float:
            folder = lay_out(Path(place) / f"run{len(children)}", prompts, port)
            children.append(run_child(stage_command("generate", MODEL), folder))
            if stored(folder) != asked:
                raise SystemExit(f"{stored(folder)} of {asked} completions are stored")
            sending.append(asked / sending_seconds(folder))
            return asked / children[-1].seconds

        def bare() -> float:
            found = run_child([sys.executable, __file__, "--bare", str(port), str(prompts)])
            return asked / float(found.out)

        rates = in_turn({"stage": stage, "bare": bare}, rounds)
    return [
        Finding(f"sending {asked:,} requests, store on", sending, "requests/s", RATE_BAR, True),
        Finding("the whole command, from start to the last file written", rates["stage"], "requests/s", RATE_BAR, True),
        Finding("a bare aiohttp loop, nothing kept", rates["bare"], "requests/s"),
        Finding(
            "sending over the bare loop", ratios(sending, rates["bare"]), "", SENDING_BAR, True, bound=SENDING_BOUND
        ),
        Finding(
            "the whole command over the bare loop",
            ratios(rates["stage"], rates["bare"]),
            "",
            WHOLE_BAR,
            True,
            bound=WHOLE_BOUND,
        ),
        Finding("CPU time a request, client, whole command", [1e3 * c.cpu / asked for c in children], "ms"),
        Finding("peak resident memory of the command", [c.mb for c in children], "MB", MEMORY_BAR),
    ]


def bare(port: int, prompts: int) -> float:
    """Seconds that a loop of `CONCURRENCY` workers takes to send every body and read every answer."""
    import asyncio

    import aiohttp

    bodies = []
    for request in requests(prompts):
        chosen = request.sampling
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        body = {"model": MODEL, "messages": messages, "temperature": chosen.temperature, "seed": chosen.stream}
        bodies.append(json.dumps(body).encode())
    todo = iter(bodies)

    async def work(session: aiohttp.ClientSession) -> None:
        for body in todo:
            async with session.post(f"http://127.0.0.1:{port}/v1/chat/completions", data=body) as response:
                json.loads(await response.read())

    async def send_all() -> float:
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        headers = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            start = time.perf_counter()
            await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))
            return time.perf_counter() - start

    return asyncio.run(send_all())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        print(bare(int(sys.argv[2]), int(sys.argv[3])))
    else:
        main("http_overhead", __doc__, measure, ("aiohttp", "pandas", "pyarrow"))
