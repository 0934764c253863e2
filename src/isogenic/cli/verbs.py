"""What the verbs of the command line share: the program itself, and how a file that people name is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from isogenic.errors import NotFound, NotValid

__all__ = ["Folder", "app", "not_over", "read_bytes", "read_text"]

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


def not_over(written: Iterable[Path], *read: Path | None) -> None:
    """Refuse to write over what is read, by whatever path it is named."""
    for out in written:
        for source in read:
            if source is not None and out.exists() and source.exists() and out.samefile(source):
                raise NotValid(f"cannot write {out}", why=f"it is {source}, which is read", possible="another name")
