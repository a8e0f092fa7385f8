"""What `plan` says of a paid judge, and what a run of it takes: the published Llama responses, a server on loopback.

    python benchmarks/paid_judge.py published-study --tokenizer models/SmolLM2-135M-Instruct.Q4_1.gguf

The server counts tokens with the tokenizer of a real model, its chat template included, and reports them as `usage`.
Its verdicts have a reasoning of some 25 words. Requests and answers are counted there, apart from the project.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

PRICE_IN, PRICE_OUT = 1.0, 5.0


def study(port: int, published: Path, everything: bool) -> dict[str, Any]:
    """Recorded responses of one model; the rules hand over what they are unsure of, or the paid judge judges all."""
    prices = {"price_in": PRICE_IN, "price_out": PRICE_OUT}
    settings = {"base_url": f"http://127.0.0.1:{port}/v1", **prices}
    paid = {"kind": "model", "model": {"engine": "openai", "path": "judge", "settings": settings}}
    rules = {"kind": "rules", "settings": {"escalate_below": 0.795, "escalate_to": "paid"}}
    name, model = "meta_llama_Llama_3.1_8B_Instruct", "meta-llama/Llama-3.1-8B-Instruct"
    recorded = {"layout": "published", "name": name, "model": model}
    columns = {"id": "id", "prompt": "prompt", "source": "source"}
    return {
        "study": "paid-judge",
        "prompts": {"source": "table", "path": str(published / "data/processed/prompts.csv"), "columns": columns},
        "sampling": {"temperatures": [0.0, 0.3, 0.7, 1.0], "seeds": [42, 43, 44, 45, 46]},
        "models": {"llama": {"engine": "recorded", "path": str(published), "settings": recorded}},
        "judging": {
            "primary": "paid" if everything else "rules",
            "judges": {"paid": paid} if everything else {"rules": rules, "paid": paid | {"on_call": True}},
        },
    }


class PaidServer:
    """Chat completions that give verdicts and count what they would charge for."""

    def __init__(self, tokenizer: Path) -> None:
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(str(tokenizer.parent), gguf_file=tokenizer.name)
        self.counted: Counter[str] = Counter()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """A verdict on the exchange at the end of the messages."""
        messages = body["messages"]
        shown = next(line for line in messages[-1]["content"].splitlines()[::-1] if line.startswith('{"request"'))
        words = json.loads(shown)["response"].split()
        verdict = json.dumps({"reasoning": "The response says: " + " ".join(words[:22]), "label": "COMPLY"})
        asked = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        usage = {
            "prompt_tokens": len(self._tokenizer(asked, add_special_tokens=False)["input_ids"]),
            "completion_tokens": len(self._tokenizer(verdict, add_special_tokens=False)["input_ids"]) + 1,
        }
        self.counted.update({"requests": 1, **usage})
        choice = {"index": 0, "message": {"role": "assistant", "content": verdict}, "finish_reason": "stop"}
        return {"choices": [choice], "model": body["model"], "usage": usage}

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Serve in a thread for as long as the block runs; gives the port."""
        from aiohttp import web

        loop, ports, ready = asyncio.new_event_loop(), [0], threading.Event()

        async def chat(request: web.Request) -> web.Response:
            return web.json_response(self.answer(await request.json()))

        async def models(request: web.Request) -> web.Response:
            return web.json_response({"data": [{"id": "judge"}]})

        async def start() -> web.AppRunner:
            app = web.Application(client_max_size=1 << 26)
            app.router.add_post("/v1/chat/completions", chat)
            app.router.add_get("/v1/models", models)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
            ports[0] = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            return runner

        def serve() -> None:
            runner = loop.run_until_complete(start())
            ready.set()
            loop.run_forever()
            loop.run_until_complete(runner.cleanup())

        thread = threading.Thread(target=serve)
        thread.start()
        ready.wait()
        try:
            yield ports[0]
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def command(folder: Path, *words: str) -> str:
    """What a command of the project prints."""
    ran = subprocess.run(
        [sys.executable, "-m", "refusal_stability.cli", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise SystemExit(ran.stdout + ran.stderr)
    return ran.stdout


def show(title: str, printed: str, *starts: str) -> None:
    """The lines of a table that begin in one of these ways."""
    for line in printed.splitlines():
        if line.strip().startswith(starts):
            print(f"{title:28} {' '.join(line.split())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, help="the folder of the published study")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a .gguf file of a chat model")
    parser.add_argument("--everything", action="store_true", help="the paid judge judges every response")
    chosen = parser.parse_args()
    server = PaidServer(chosen.tokenizer)
    with server.serving() as port, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        params = study(port, chosen.published.resolve(), chosen.everything)
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        rows = ("paid on llama", "paid", "asked")
        show("plan, before the responses", command(folder, "plan"), *rows)
        for words in (("params",), ("prompts",), ("generate", "llama")):
            command(folder, *words)
        show("plan, with the responses", command(folder, "plan"), *rows)
        command(folder, "judge", "llama")
        show("status, after the run", command(folder, "status"), *rows)
    took = server.counted
    cost = (took["prompt_tokens"] * PRICE_IN + took["completion_tokens"] * PRICE_OUT) / 1_000_000
    print(
        f"{'the server counted':28} {took['requests']:,} requests, {took['prompt_tokens']:,} prompt tokens, "
        f"{took['completion_tokens']:,} answer tokens, cost {cost:,.4f}"
    )


if __name__ == "__main__":
    main()
