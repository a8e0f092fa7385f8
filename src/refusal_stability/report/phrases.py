"""Names and lists as they stand in a sentence."""

from __future__ import annotations


def spelled(category: str) -> str:
    """A category's name with its words apart, so that it can be read and broken; several are set off by semicolons."""
    parts = (", ".join(part.strip() for part in one.split(",")) for one in category.replace("_", " ").split("|"))
    return "; ".join(parts)


def several(things: list[str], most: int = 12) -> str:
    """Things as a list in a sentence; a long list is cut and its count given."""
    rest = len(things) - most
    return ", ".join(things) if rest <= 1 else f"{', '.join(things[:most])} and {rest} more"
