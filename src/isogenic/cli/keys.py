"""Verbs that set a real network up: its authority, keys made where they stay, facilities and people admitted by fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import Folder, app, read_text
from isogenic.errors import NotFound, NotValid

keys_app = typer.Typer(help="Keys and certificates of a real network.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

PassphraseFile = Annotated[Path | None, typer.Option(help="A file with the passphrase of the authority's key.")]
Fingerprint = Annotated[str, typer.Option(help="As the other side read it out over the telephone; without it, it is only shown.")]
Out = Annotated[Path | None, typer.Option(help="Where to write it. Default: beside the folder.")]
Request = Annotated[Path, typer.Argument(help="The request that was brought.", show_default=False)]
Authority = Annotated[Path, typer.Argument(help="The authority's folder, brought for this and taken away again.", show_default=False)]


def _passphrase(path: Path | None) -> str:
    return read_text(path).strip() if path else ""


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as trouble:
        raise NotFound(f"cannot read {path}", why=str(trouble.strerror or trouble)) from trouble


@keys_app.command("new")
def new(
    network: Annotated[str, typer.Argument(help="The network's name: it begins the name of every ledger, for ever.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Where to write AUTHORITY and CONTROL.", show_default=False)],
    host: Annotated[list[str] | None, typer.Option(help="A name or address under which sites call the control site; may be repeated.")] = None,
    url: Annotated[str, typer.Option(help="Where sites call. Default: https:// and the first host, port 8443.")] = "",
    site: Annotated[list[Path] | None, typer.Option(help="A plant document: admit that facility at once, for a network on one machine.")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a network: its authority, and the control site's keys and certificate. Keys that are there are never overwritten."""
    from isogenic.shell.keys import new_network

    for line in new_network(network, folder, hosts=tuple(host or ()), url=url, plants=site or [], passphrase=_passphrase(passphrase_file)):
        print(line)


@keys_app.command("request")
def request(folder: Folder, network: Annotated[str, typer.Option(help="The network to join.", show_default=False)], out: Out = None) -> None:
    """At a facility: make its keys, which stay there, and a request with their public parts. Again, to renew its certificate."""
    from isogenic.authority.admission import fingerprint_of
    from isogenic.records import codec
    from isogenic.records.durable import write_whole
    from isogenic.sites.joining import request as ask

    made = ask(folder, network=network)
    path = out or folder / f"{made.site}.request.json"
    write_whole(path, codec.dumps(codec.plain(made)))
    print(f"{path}: bring it to the control site, and read it this over the telephone:\n  {fingerprint_of(made)}")


@keys_app.command("person")
def person(
    folder: Folder,
    person: Annotated[str, typer.Argument(help="An id that nobody has or had.", show_default=False)],
    name: Annotated[str, typer.Option(help="The printed name, as it is to stand under signatures.", show_default=False)],
    role: Annotated[list[str], typer.Option(help="What the person is there for; may be repeated.", show_default=False)],
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="ISOGENIC_PASSWORD", help="The person types it.")
    ],
    out: Out = None,
) -> None:
    """Make somebody's account where they work, and a request to put them on file; at the control site, put them on file."""
    from isogenic.shell.keys import enrol_person

    for line in enrol_person(folder, person, password, printed_name=name, roles=role, out=out):
        print(line)


@keys_app.command("admit")
def admit(
    authority: Authority,
    control: Annotated[Path, typer.Argument(help="The control site's folder.", show_default=False)],
    request: Request,
    fingerprint: Fingerprint = "",
    out: Out = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """At the control site: admit a facility or a person, once the fingerprint is the one that was read out."""
    from isogenic.shell.keys import admit as take

    said = take(authority, control, _bytes(request), fingerprint=fingerprint, out=out, passphrase=_passphrase(passphrase_file))
    for line in said:
        print(line)
    if not fingerprint:
        raise NotValid("nobody was admitted", why="no fingerprint was given", possible="--fingerprint, as the other side reads it out")


@keys_app.command("accept")
def accept(
    folder: Folder,
    admission: Annotated[Path, typer.Argument(help="The admission that came back.", show_default=False)],
    fingerprint: Fingerprint = "",
) -> None:
    """At the facility: take the admission: whom to trust, where to call, and the certificate."""
    from isogenic.sites.joining import accept as take

    taken = take(folder, _bytes(admission), fingerprint=fingerprint)
    print(f"{taken.site} belongs to {taken.network}; it calls {taken.control_url}")


@keys_app.command("opcua")
def opcua(
    folder: Folder,
    host: Annotated[list[str] | None, typer.Option(help="A name of this machine, as modules know it; may be repeated.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="One that your own authority issued for the key that lies there.")] = None,
) -> None:
    """At a facility: make its OPC UA application certificate, with which it speaks to its modules, or take one of your own authority."""
    from isogenic.shell.modules import make_opcua_certificate

    for line in make_opcua_certificate(folder, hosts=tuple(host or ()), certificate=certificate):
        print(line)


@keys_app.command("trust")
def trust(
    folder: Folder, module: Annotated[str, typer.Argument(help="As in the plant document.", show_default=False)], fingerprint: Fingerprint = ""
) -> None:
    """At a facility: trust the certificate of a module, once the fingerprint is the one that was read out at the module."""
    from isogenic.shell.modules import trust_module

    for line in trust_module(folder, module, fingerprint=fingerprint):
        print(line)
    if not fingerprint:
        raise NotValid("nothing is trusted", why="no fingerprint was given", possible="--fingerprint, as it is read out at the module")


@keys_app.command("show")
def show(folder: Folder) -> None:
    """Fingerprints of a node's keys, for the telephone, and how long its certificate lasts."""
    from isogenic.shell.keys import shown_keys

    for line in shown_keys(folder):
        print(line)


@keys_app.command("renew")
def renew(
    authority: Authority,
    control: Annotated[Path, typer.Argument(help="The control site's folder.", show_default=False)],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Renew the control site's certificate. A facility's: `keys request`, `admit`, `accept` once more."""
    from isogenic.clock import SystemClock
    from isogenic.network.admission import renew_control
    from isogenic.records.tls import Authority
    from isogenic.shell.keys import certificate_line

    renew_control(Authority.load(authority, passphrase=_passphrase(passphrase_file)), control, now=SystemClock().now().at)
    print(certificate_line(control))
