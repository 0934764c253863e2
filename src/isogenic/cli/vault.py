"""Verbs of the vault of personal data, on a control site's folder while it does not run. A running one does it over its API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import Folder, app, read_text

vault_app = typer.Typer(help="Personal data of patients and donors, by identity code.", no_args_is_help=True)
app.add_typer(vault_app, name="vault")

Who = Annotated[str, typer.Option("--as", help="Your own id.", show_default=False)]
Password = Annotated[str, typer.Option(prompt=True, hide_input=True, envvar="ISOGENIC_PASSWORD", help="Your password.", show_default=False)]
Why = Annotated[str, typer.Option(help="Why. It is noted: do not say who the person is.", show_default=False)]
Code = Annotated[str, typer.Argument(help="An identity code.", show_default=False)]
FROM_INPUT = "Fields are read from standard input, one `name: value` to a line, so that no value is in a shell's history."


@vault_app.command("new")
def new(
    folder: Folder,
    passphrase_file: Annotated[Path | None, typer.Option(help="Put the vault key in a box that this passphrase opens.")] = None,
) -> None:
    """Make a vault: a fresh vault key in FOLDER/vault-keys."""
    import secrets

    from isogenic.vault.keys import new_vault_key

    passphrase = read_text(passphrase_file).strip() if passphrase_file else ""
    made = new_vault_key(folder / "vault-keys", entropy=secrets.token_bytes, passphrase=passphrase)
    print(f"vault key of generation {made.generation} in {folder / 'vault-keys'}: keep a copy apart from the copies of {folder / 'vault'}")


@vault_app.command("add", help=f"Enter a person; prints the fresh code. {FROM_INPUT}")
def add(folder: Folder, person: Who, why: Why, password: Password) -> None:
    """Enter a person; prints the fresh code."""
    from isogenic.shell.vault import vault_session

    fields = _fields(sys.stdin.read())
    with vault_session(folder, person=person, password=password) as (keeper, who, _):
        print(keeper.enter(who, fields, why=why))


@vault_app.command("open")
def open_(folder: Folder, code: Code, person: Who, why: Why, password: Password) -> None:
    """Print a person's record, once it is noted who asked and why."""
    from isogenic.ids import IdentityCode
    from isogenic.shell.vault import vault_session

    with vault_session(folder, person=person, password=password) as (keeper, who, _):
        for field, value in keeper.open(who, IdentityCode(code), why=why).items():
            print(f"{field}: {value}")


@vault_app.command("erase")
def erase(folder: Folder, code: Code, person: Who, why: Why, password: Password) -> None:
    """Erase a person by signature: the key is destroyed, and with it every copy of the record."""
    from isogenic.ids import IdentityCode
    from isogenic.shell.vault import vault_session

    with vault_session(folder, person=person, password=password) as (keeper, who, signer):
        keeper.erase(who, signer, IdentityCode(code), why=why)
    print(f"{code} erased")


@vault_app.command("list")
def list_(folder: Folder, person: Who, password: Password) -> None:
    """List the codes of whom there is a record; nothing else of them."""
    from isogenic.shell.vault import vault_session

    with vault_session(folder, person=person, password=password) as (keeper, who, _):
        for code in keeper.codes(who):
            print(code)


@vault_app.command("rotate")
def rotate(folder: Folder, person: Who, password: Password) -> None:
    """Wrap every person's key anew under a fresh vault key and destroy the old one, so that old copies of keys open nothing."""
    from isogenic.shell.vault import vault_session

    with vault_session(folder, person=person, password=password) as (keeper, who, _):
        print(f"vault key of generation {keeper.rotate(who)}: keep a fresh copy of it, and destroy the old copies")


def _fields(text: str) -> dict[str, str]:
    """`name: value` lines; a line that is none is refused without being repeated."""
    from isogenic.errors import NotValid

    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise NotValid(f"cannot read line {number}", why="the form is name: value")
        if line.strip():
            found[name.strip()] = value.strip()
    return found
