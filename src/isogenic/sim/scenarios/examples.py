"""The scenarios that are shipped, by name."""

from __future__ import annotations

from importlib.resources import files

from isogenic.errors import NotFound

__all__ = ["example", "examples"]


def examples() -> tuple[str, ...]:
    """Their names, in order."""
    folder = files("isogenic.sim") / "documents" / "scenarios"
    return tuple(sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml")))


def example(name: str) -> str:
    """The text of one; `NotFound` names those there are."""
    if name not in examples():
        raise NotFound(f"no scenario {name[:60]}", why="it is neither a file nor one that is shipped", possible=", ".join(examples()))
    return (files("isogenic.sim") / "documents" / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
