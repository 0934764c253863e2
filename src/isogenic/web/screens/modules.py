"""The modules of a site: what each offers, the digest of its package, and whether it is of one type with another."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.checks import Severity, stops
from isogenic.plant.model import Protocol
from isogenic.plant.mtp.model import Element, Kind, Manifest, Procedure, Service
from isogenic.plant.mtp.pages import counts, described
from isogenic.sites.modules import ModuleCard, UnitCard
from isogenic.web.messages import time
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import count_of, empty, head, listing, mark, pairs, panel, said, second

__all__ = ["modules_screen"]

DIGITS = 16  # of a digest; the whole of it is under the finger
NOTES_SHOWN = 12
_SPOKEN = {Protocol.OPCUA: "OPC UA", Protocol.MTP: "MTP services over OPC UA", Protocol.SILA: "SiLA 2", Protocol.SPARKPLUG: "MQTT Sparkplug B"}


def modules_screen(units: Sequence[UnitCard], *, title: str, back: tuple[str, str]) -> Markup:
    """The page."""
    cards = [card for unit in units for card in unit.modules]
    types = {card.type_digest for card in cards if card.type_digest}
    sub = said(count_of(len(cards), "module"), count_of(len(types), "module type"))
    return join(head(title, sub=sub, trail=[back, ("/modules", "Modules")]), h("div.stack", *(_unit(each) for each in units)))


def _unit(card: UnitCard) -> Markup:
    return h(
        "div.stack",
        panel(f"{card.unit.id}: {card.unit.title}", _class(card), aside=card.unit.cls.title),
        *(_module(each) for each in card.modules),
    )


def _class(card: UnitCard) -> Child:
    """Whether the modules together offer what the class asks for."""
    if not card.notes:
        return empty("Not every module has a package: what they offer together cannot be held against the class.")
    stopped, warned = stops(card.notes), [note for note in card.notes if note.severity is Severity.WARN]
    if not stopped:
        verdict = mark("good", f"its modules offer all {len(card.unit.cls.services)} services and {len(card.unit.cls.signals)} signals of the class")
    else:
        verdict = mark("stop", f"{count_of(len(stopped), 'thing')} that the class asks for is missing or does not fit")
    lines = [h("p", mark("stop", note.text)) for note in stopped[:NOTES_SHOWN]] + [h("p", mark("warn", note.text)) for note in warned[:NOTES_SHOWN]]
    left = max(len(stopped) - NOTES_SHOWN, 0) + max(len(warned) - NOTES_SHOWN, 0)
    return join(h("p", verdict), *lines, h("p", f"and {left} more") if left else None)


def _module(card: ModuleCard) -> Markup:
    manifest = card.manifest
    up = card.connection == "connected"
    link = said(mark("good" if up else "silent", card.connection), second(time(card.since)) if card.since else None)
    rows: list[tuple[str, Child]] = [
        ("Connection", link),
        ("Spoken to by", f"{_SPOKEN.get(card.module.protocol, str(card.module.protocol))}, {card.module.endpoint or 'no address'}"),
        ("Package", h("code", card.file)),
    ]
    if manifest is None:
        return panel(str(card.module.id), pairs(*rows), h("p", mark("warn", card.trouble)))
    rows += [
        ("Module type", f"{manifest.name} {manifest.version}, {manifest.manufacturer or 'maker not named'}"),
        ("Written in", f"manifest {manifest.dialect}"),
        ("Digest", _digest(manifest.digest)),
        ("Digest of the type", join(_digest(card.type_digest), " ", _released(card))),
        ("Same type as", ", ".join(card.same_type) if card.same_type else "no other module of this site"),
        ("Holds", counts(manifest)),
    ]
    notes = [h("p", mark("warn", note)) for note in manifest.notes[:NOTES_SHOWN]]
    return panel(str(card.module.id), pairs(*rows), *notes, _services(manifest))


def _released(card: ModuleCard) -> Child:
    if card.released is None:
        return mark("quiet", "no type was released for it")
    return mark("good", "the released type") if card.released else mark("stop", "another type than the released one")


def _digest(digest: str) -> Markup:
    return h("code", digest[:DIGITS] + "…", title=digest)


def _services(manifest: Manifest) -> Markup | None:
    rows = [row for service in manifest.services for row in _procedures(service)]
    if not rows:
        return h("p", "It shows values and takes set-points; it has no services.")
    table = listing(("Service", "#Number", "Procedure", "Started with", "Reports"), rows, nothing="", close=True)
    return h("div", table, style="margin-top:14px;overflow-wrap:anywhere")


def _procedures(service: Service) -> list[Sequence[Child]]:
    rows: list[Sequence[Child]] = []
    for at, procedure in enumerate(service.procedures):
        name = h("span.main", service.name, h("span.under", service.title)) if at == 0 else ""
        runs = h("span", procedure.name, h("span.under", "completes itself" if procedure.self_completing else "runs until told"))
        parameters = [h("div", _plain(each)) for each in procedure.of(Kind.PARAMETER)]
        rows.append((name, procedure.number, runs, h("div", *parameters) if parameters else "nothing", _reports(procedure)))
    return rows


def _reports(procedure: Procedure) -> Child:
    """Its report values by name; process values, which every procedure of a service shows alike, by number."""
    reports = [h("div", _plain(each)) for each in procedure.of(Kind.REPORT)]
    values = len(procedure.of(Kind.VALUE_OUT))
    return h("div", *reports, h("span.under", count_of(values, "process value"))) if values or reports else "nothing"


def _plain(element: Element) -> str:
    return described(element).partition("  [")[0]
