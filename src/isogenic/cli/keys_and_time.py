"""Verbs on a site's keys, and on what it may delete."""

from __future__ import annotations

from typing import Annotated

import typer

from isogenic.cli.verbs import Folder, app


@app.command("renew-key")
def renew_key(folder: Folder) -> None:
    """Make the ledger key that a site goes on with when the one in use is revoked, and print its public half."""
    from isogenic.shell.keys import prepare_key

    print(prepare_key(folder))


@app.command("revoke-key")
def revoke_key(
    folder: Folder,
    site: Annotated[str, typer.Argument(help="The site whose ledger key counts no longer.", show_default=False)],
    reason: Annotated[str, typer.Option(help="What became of the key.", show_default=False)],
    person: Annotated[str, typer.Option("--as", help="Your own id.", show_default=False)],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, envvar="ISOGENIC_PASSWORD", help="Your password.", show_default=False)],
    key: Annotated[str, typer.Option(help="The key that the site goes on with, as `isogenic renew-key` prints it there; empty: none yet.")] = "",
) -> None:
    """Revoke the ledger key of a site, on a control site's folder while it does not run. A running one does it on the site's page."""
    from isogenic.shell.keys import revoke_key

    for line in revoke_key(folder, site=site, key=key, reason=reason, person=person, password=password):
        print(line)


@app.command()
def watermarks(folder: Folder) -> None:
    """Show what the control site holds twice of a site's ledgers, and what the site may delete for it. The site is stopped."""
    from isogenic.shell.inspecting import show_watermarks

    print(show_watermarks(folder))
