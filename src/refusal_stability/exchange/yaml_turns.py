"""promptfoo's chat prompts in YAML: it sends a text that begins with `- role:` as the turns that it lists."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from refusal_stability.exchange.logged import LogError

FIRST_TURN = "- role:"
LONGEST = 2**18  # characters: such a prompt takes about a second
KEPT = 4096  # repeats ask the same


def yaml_turns(place: str, asked: Any) -> Any:
    """The list of turns that a prompt in YAML stands for; any other prompt, and broken YAML, as it is."""
    if not isinstance(asked, str) or not asked.lstrip().startswith(FIRST_TURN):
        return asked
    if len(asked) > LONGEST:
        raise LogError(
            f"{place}: a prompt of {len(asked):,} characters of YAML; at most {LONGEST:,} are read; write it as JSON"
        )
    turns = _turns(asked)
    return asked if turns is None else [dict(zip(("role", "content"), turn, strict=True)) for turn in turns]


@lru_cache(maxsize=KEPT)
def _turns(text: str) -> tuple[tuple[str, str], ...] | None:
    import yaml

    try:
        # Every scalar is a text, and no tag makes an object.
        found = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    # Turns of plain texts alone, which aliases do not make longer than the prompt itself.
    if not isinstance(found, list) or not all(isinstance(turn, dict) for turn in found):
        return None
    turns = [(turn.get("role"), turn.get("content")) for turn in found]
    if not all(isinstance(part, str) for turn in turns for part in turn):
        return None
    if sum(len(str(content)) for _, content in turns) > len(text):
        return None
    return tuple((str(role), str(content)) for role, content in turns)
