"""How large and deep a YAML file is with its aliases written out: a few lines can be more than a machine holds."""

from __future__ import annotations

MOST_VALUES = 1_000_000
DEEPEST = 50


def too_much(text: str) -> str | None:
    """What of a YAML text is more than a study's parameters can be; None where nothing is.

    Each alias counts as all that it stands for.
    """
    import yaml

    sizes: dict[str, int] = {}
    # Of each collection that is open: its anchor, and how many values are in it so far.
    open_ones: list[tuple[str | None, int]] = [(None, 0)]

    def add(anchor: str | None, size: int) -> None:
        if anchor is not None:
            sizes[anchor] = size
        name, so_far = open_ones[-1]
        open_ones[-1] = (name, so_far + size)

    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            open_ones.append((event.anchor, 1))
            if len(open_ones) > DEEPEST:
                return f"is nested over {DEEPEST} levels deep"
        elif isinstance(event, yaml.CollectionEndEvent):
            add(*open_ones.pop())
        elif isinstance(event, yaml.AliasEvent):
            add(None, sizes.get(str(event.anchor), 1))
        elif isinstance(event, yaml.ScalarEvent):
            add(event.anchor, 1)
        if open_ones[-1][1] >= MOST_VALUES:
            return f"holds over {MOST_VALUES:,} values once its aliases (*name) are written out"
    return None
