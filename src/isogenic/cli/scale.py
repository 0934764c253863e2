"""The verb for a control site that has outgrown one machine."""

from __future__ import annotations

from isogenic.cli.verbs import Folder, app


@app.command()
def migrate(folder: Folder) -> None:
    """Bring a control site's database up to date: its layout, never its facts. Also done when a process starts."""
    from isogenic.shell import migrate_database

    print(migrate_database(folder))
