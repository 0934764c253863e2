"""What the verbs of the command line share: the program itself, and how a file that people name is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.errors import NotFound, NotValid

__all__ = ["Folder", "app", "read_bytes", "read_text"]

app = typer.Typer(
    name="isogenic",
    help="The digital backbone of a decentralized biomanufacturing network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Argument(help="The node's folder.", show_default=False)]


def read_bytes(path: Path) -> bytes:
    """The bytes of a file that somebody named, or a clear refusal."""
    try:
        return path.read_bytes()
    except OSError as trouble:
        raise NotFound(f"cannot read {path}", why=str(trouble.strerror or trouble)) from trouble


def read_text(path: Path) -> str:
    """The text of a file that somebody named, or a clear refusal."""
    try:
        return path.read_text()
    except OSError as trouble:
        raise NotFound(f"cannot read {path}", why=str(trouble.strerror or trouble)) from trouble
    except UnicodeDecodeError as trouble:
        raise NotValid(f"cannot read {path}", why=str(trouble), possible="a text file in UTF-8") from trouble
