"""Verbs on a site's keys, and on what it may delete."""

from __future__ import annotations

from isogenic.cli.verbs import Folder, app


@app.command("renew-key")
def renew_key(folder: Folder) -> None:
    """Make the ledger key that a site goes on with when the one in use is revoked, and print its public half."""
    from isogenic.shell import prepare_key

    print(prepare_key(folder))


@app.command()
def watermarks(folder: Folder) -> None:
    """Show what the control site holds twice of a site's ledgers, and what the site may delete for it. The site is stopped."""
    from isogenic.shell import show_watermarks

    print(show_watermarks(folder))
