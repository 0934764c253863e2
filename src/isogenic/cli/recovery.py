"""Verbs for when things went wrong: back up, restore, recover."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import Folder, app, read_text

Secrets = Annotated[Path | None, typer.Option(help="A file with the passphrase for private keys and accounts. Default: without them.")]

Keys = Annotated[Path | None, typer.Option(help="The public keys you trust, one to a line. Default: the backup's own, its fingerprint shown.")]


@app.command()
def backup(
    folder: Folder,
    to: Annotated[Path, typer.Argument(help="Where backups are kept: another disk.", show_default=False)],
    secrets: Secrets = None,
) -> None:
    """Back up a node's folder, while it runs: ledgers whole and verified, other files once."""
    from isogenic.shell.files import back_up_node

    print(back_up_node(folder, to, passphrase=read_text(secrets).strip() if secrets else ""))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A backup, or the folder of all of them.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="An empty folder.", show_default=False)],
    until: Annotated[str, typer.Option(help="As it was at this time (RFC 3339), or with at most so many facts to a ledger.")] = "",
    secrets: Secrets = None,
    keys: Keys = None,
) -> None:
    """Restore a node to an empty folder. Started, it writes nothing before its witness has returned what was noted since."""
    from isogenic.shell.files import restore_node

    passphrase = read_text(secrets).strip() if secrets else ""
    print(restore_node(source, folder, until=until, passphrase=passphrase, keys=read_text(keys) if keys else ""))


@app.command()
def recover(
    folder: Folder,
    ledger: Annotated[list[str], typer.Option(help="Which ledger forked: HOUSE, a sponsor, or a site. May be given more than once.")],
    by: Annotated[str, typer.Option(help="Who says so, by id.")],
    why: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Give up what a ledger holds beyond what was witnessed, where it forked. The file is kept as evidence; the rest comes back at the next start."""
    from isogenic.shell.files import recover_node

    for line in recover_node(folder, ledger, by=by, why=why):
        print(line)
