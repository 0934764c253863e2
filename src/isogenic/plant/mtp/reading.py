"""A manifest from its bytes: AutomationML of either dialect, as found in packages of real makes.

Guarantees: any bytes give a manifest or one `NotValid`; no entity is expanded, no document
type is taken, nothing is fetched; size, depth and number of elements are bounded. Types are
told by RefBaseSystemUnitPath, RefBaseClassPath and RefAttributeType, never by a name. What
a file says oddly but clearly is read, and stands among the manifest's notes: a variable
that is linked to nothing, a procedure without a number, a part in a draft's version.
Leaves to others: unpacking (archive), judging what the module offers (checking).

| | manifest 1.0.0, CAEX 2.15 | manifest 1.1.0, CAEX 3.0 |
| --- | --- | --- |
| services are found by | ExternalDataConnector | AspectSetReference |
| a variable is bound by | an attribute of the type xs:IDREF | ...IDLinkAttributeType |
| a procedure is | ServiceProcedure (drafts) or Service/Procedure | Service/Procedure |
| a service's control is | DataAssembly/ServiceControl | .../ServiceElement/ServiceControl |
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lxml import etree

from isogenic.errors import NotValid
from isogenic.plant.mtp.archive import manifest_bytes
from isogenic.plant.mtp.model import SERVICE_CONTROL, Access, DataAssembly, Dialect, Element, Item, Kind, Manifest, Procedure, Service

__all__ = ["ELEMENTS_MAX", "read_manifest"]

ELEMENTS_MAX = 1_000_000  # a module of 138 data assemblies has 30,000
NOTES_MAX = 100
TEXT_MAX = 400  # characters of a name or title; an address may be longer
ADDRESS_MAX = 4_000
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "windows-1252"})
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_ACCESS = {"0": Access.NONE, "1": Access.READ, "2": Access.WRITE, "3": Access.BOTH}
_KINDS = {"xs:integer": "i", "xs:int": "i", "xs:unsignedint": "i", "xs:id": "g", "xs:base64binary": "b"}
_ELEMENTS = {
    "ConfigurationParameter": Kind.CONFIGURATION,
    "ProcedureParameter": Kind.PARAMETER,
    "ReportValue": Kind.REPORT,
    "ProcessValueIn": Kind.VALUE_IN,
    "ProcessValueOut": Kind.VALUE_OUT,
    "RequiredEquipment": Kind.EQUIPMENT,
}
_PROCEDURES = frozenset({"MTPServiceSUCLib/Service/Procedure", "MTPServiceSUCLib/ServiceProcedure", "MTPServiceSUCLib/ServiceStrategy"})
_SERVICE = "MTPServiceSUCLib/Service"
_MODULE = "MTPSUCLib/ModuleTypePackage"
_SERVER = "MTPCommunicationSUCLib/ServerAssembly/"
_INSTANCES = "MTPSUCLib/CommunicationSet/InstanceList"
_Node = Any  # an lxml element


def read_manifest(data: bytes, *, name: str) -> Manifest:
    """Read an `.mtp` or `.aml`; `name` says in refusals which file it is."""
    content = manifest_bytes(data, name=name)
    root = _parsed(content, name)
    return replace(_Reader(root, name).manifest(), digest=hashlib.sha256(content).hexdigest())


def _parsed(content: bytes, name: str) -> _Node:
    """The document's root, or a refusal; what could make a parser work without end is refused before it sees it."""
    plain = _plain(content, name)
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise _refused(name, "it declares a document type or an entity, which no manifest needs")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(plain, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as trouble:
        raise _refused(name, f"it is not well-formed XML: {str(trouble)[:160]}") from trouble
    if root is None or etree.QName(root).localname != "CAEXFile":
        raise _refused(name, "its first element is not CAEXFile: it is no AutomationML")
    if sum(1 for _ in zip(root.iter(), range(ELEMENTS_MAX + 1), strict=False)) > ELEMENTS_MAX:
        raise _refused(name, f"it has more than {ELEMENTS_MAX} elements")
    return root


def _plain(content: bytes, name: str) -> bytes:
    """The text as bytes in which a document type cannot hide behind an encoding."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError as trouble:
            raise _refused(name, f"it is not the UTF-16 that it begins as: {trouble.reason}") from trouble
        return re.sub(r"^<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL).encode()
    declared = _DECLARED.match(content.removeprefix(b"\xef\xbb\xbf").lstrip()[:400])
    if declared and declared[1].decode().lower() not in _ENCODINGS:
        raise _refused(name, f"its encoding is {declared[1].decode()}", possible="UTF-8, UTF-16 with its mark, ISO-8859-1")
    if b"\x00" in content:
        raise _refused(name, "it holds signs that no text has")
    return content


class _Reader:
    """One document being read."""

    def __init__(self, root: _Node, name: str) -> None:
        self._root, self._name = root, name
        self._notes: list[str] = []
        self._hierarchies = [each for each in root if _local(each) == "InstanceHierarchy"]
        self._dialect = Dialect.V1_1 if etree.QName(root).namespace else Dialect.V1_0

    def manifest(self) -> Manifest:
        module = self._module()
        items = {text: item for node in self._elements(module) if _path(node).startswith(_SERVER) for text, item in self._items(node)}
        nodes = [each for list_ in self._elements(module) if _path(list_) == _INSTANCES for each in list_ if _local(each) == "InternalElement"]
        assemblies, by_ref = [], {}
        for node in nodes:
            assembly = self._assembly(node, items)
            assemblies.append(assembly)
            for ref in _refs(node):
                by_ref[ref] = assembly
        services = tuple(self._service(node, by_ref) for node in self._service_nodes(module))
        documents = self._documents()
        return Manifest(
            name=_short(module.get("Name")),
            dialect=self._declared(documents),
            version=_short(_value(module, "Version") or _child(module, "Version") or ""),
            services=services,
            assemblies=tuple(assemblies),
            endpoint=next((_short(_value(each, "Endpoint"), ADDRESS_MAX) for each in self._elements(module) if _path(each).startswith(_SERVER)), ""),
            documents=documents,
            revision=_short(_value(module, "DeviceRevision")),
            manufacturer=_short(_value(module, "ManufacturerUri"))
            or next((_short(each.get("OriginVendor")) for each in self._root.iter("{*}SourceDocumentInformation")), ""),
            notes=tuple(self._notes[:NOTES_MAX]),
        )

    def _module(self) -> _Node:
        found = [each for hierarchy in self._hierarchies for each in hierarchy if _path(each) == _MODULE]
        if len(found) != 1:
            raise _refused(self._name, f"it describes {len(found)} module types" if found else "it describes no module type (ModuleTypePackage)")
        if not any(_path(each) == "MTPSUCLib/CommunicationSet" for each in self._elements(found[0])):
            raise _refused(self._name, "its module type has no CommunicationSet: nothing says how it is reached")
        return found[0]

    def _documents(self) -> dict[str, str]:
        return {
            _short(each.get("DocumentIdentifier")): _short(each.get("Version"))
            for each in self._root.iter("{*}Document")
            if each.get("DocumentIdentifier")
        }

    def _declared(self, documents: Mapping[str, str]) -> Dialect:
        """What the file says it is, where it says so; a file that says one and is built as the other is read as it is built."""
        said = next((version for part, version in documents.items() if "2658-1" in part), "")
        if said and said != self._dialect:
            self._note(f"it says manifest {said} and is built as {self._dialect}")
        return self._dialect

    @staticmethod
    def _elements(inside: _Node) -> Iterator[_Node]:
        yield from inside.iter("{*}InternalElement")

    def _items(self, server: _Node) -> Iterator[tuple[str, Item]]:
        """Every variable of a server, by the id that attributes link to."""
        for node in server.iter("{*}ExternalInterface"):
            if not (node.get("RefBaseClassPath") or "").startswith("MTPCommunicationICLib/DataItem"):
                continue
            identifier, namespace = _value(node, "Identifier"), _value(node, "Namespace")
            kind = _KINDS.get((_attribute_type(node, "Identifier") or "").lower(), "s")
            if kind == "i" and not identifier.isdigit():
                kind = "s"
            if not identifier or len(identifier) > ADDRESS_MAX or len(namespace) > ADDRESS_MAX:
                self._note(f"the variable {_short(node.get('Name'))} has no identifier that can be used")
                continue
            yield node.get("ID") or "", Item(namespace, identifier, kind, _ACCESS.get(_value(node, "Access"), Access.BOTH))

    def _assembly(self, node: _Node, items: Mapping[str, Item]) -> DataAssembly:
        bound: dict[str, Item] = {}
        values: dict[str, str] = {}
        for attribute in _attributes(node):
            variable, value = _short(attribute.get("Name")), _child(attribute, "Value") or ""
            if _links(attribute):
                default = _child(attribute, "DefaultValue")
                if default is not None:
                    values[variable] = _short(default)
                if value in items:
                    bound[variable] = items[value]
                elif value:
                    self._note(f"{_short(node.get('Name'))}.{variable} is linked to nothing")
            elif variable != "RefID":
                values[variable] = _short(value)
        name = values.pop("TagName", "") or _short(node.get("Name"))
        return DataAssembly(
            _short(node.get("Name")) or name, next(reversed(_refs(node)), ""), _short(_path(node)), values.pop("TagDescription", ""), bound, values
        )

    def _service_nodes(self, module: _Node) -> list[_Node]:
        """The services of the aspect that the manifest points to; of the whole file where it points to nothing that is there."""
        pointed = {text for each in self._elements(module) if _path(each).endswith(("/ServiceSet", "/ServicesSet")) for text in _pointers(each)}
        own = [each for each in self._hierarchies if {each.get("ID"), each.get("Name")} & pointed]
        if not own and any(_path(each) == _SERVICE for each in self._root.iter("{*}InternalElement")):
            self._note("its table of contents does not lead to its services")
        return [each for hierarchy in own or self._hierarchies for each in hierarchy.iter("{*}InternalElement") if _path(each) == _SERVICE]

    def _service(self, node: _Node, by_ref: Mapping[str, DataAssembly]) -> Service:
        name = _short(node.get("Name"))
        control = next((by_ref[ref] for ref in _refs(node) if ref in by_ref), None)
        if control is None or control.cls != SERVICE_CONTROL:
            self._note(f"service {name} is linked to no {SERVICE_CONTROL}")
            control = None
        inner = [each for each in node if _local(each) == "InternalElement"]
        procedures = tuple(self._procedure(each, by_ref, name) for each in inner if _path(each) in _PROCEDURES)
        for number in {each.number for each in procedures if sum(other.number == each.number for other in procedures) > 1}:
            self._note(f"service {name} gives the number {number} to several procedures")
        return Service(name, control, procedures, tuple(self._inner(inner, by_ref, name)), _short(_child(node, "Description")))

    def _procedure(self, node: _Node, by_ref: Mapping[str, DataAssembly], service: str) -> Procedure:
        name, said = _short(node.get("Name")), _value(node, "ProcedureID")
        number = int(said) if said.isdigit() and len(said) < 10 else 0
        if not number:
            self._note(f"procedure {service}/{name} has no number: it cannot be requested")
        inner = [each for each in node if _local(each) == "InternalElement"]
        health = next((by_ref[ref] for ref in _refs(node) if ref in by_ref), None)
        return Procedure(
            name,
            number,
            _true(_value(node, "IsSelfCompleting")),
            _true(_value(node, "IsDefault")),
            tuple(self._inner(inner, by_ref, f"{service}/{name}")),
            health,
            _short(_child(node, "Description")),
        )

    def _inner(self, nodes: list[_Node], by_ref: Mapping[str, DataAssembly], inside: str) -> Iterator[Element]:
        for node in nodes:
            kind = _ELEMENTS.get(_path(node).rsplit("/", 1)[-1])
            if kind is None:
                continue
            name = _short(node.get("Name"))
            assembly = next((by_ref[ref] for ref in _refs(node) if ref in by_ref), None)
            if assembly is None:
                self._note(f"{kind} {inside}/{name} is linked to no data assembly")
            yield Element(name, kind, assembly, _short(_child(node, "Description")))

    def _note(self, text: str) -> None:
        if len(self._notes) < NOTES_MAX:
            self._notes.append(text)


def _local(node: _Node) -> str:
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def _path(node: _Node) -> str:
    return node.get("RefBaseSystemUnitPath") or ""


def _attributes(node: _Node) -> Iterator[_Node]:
    for each in node:
        if _local(each) == "Attribute":
            yield each


def _child(node: _Node, name: str) -> str | None:
    found = next((each for each in node if _local(each) == name), None)
    return None if found is None else (found.text or "").strip()


def _value(node: _Node, name: str) -> str:
    return next((_child(each, "Value") or "" for each in _attributes(node) if each.get("Name") == name), "")


def _attribute_type(node: _Node, name: str) -> str | None:
    return next((each.get("AttributeDataType") for each in _attributes(node) if each.get("Name") == name), None)


def _links(attribute: _Node) -> bool:
    """Whether an attribute's value is the id of a variable: xs:IDREF in the older dialect, an attribute type in the newer."""
    return attribute.get("AttributeDataType") == "xs:IDREF" or (attribute.get("RefAttributeType") or "").endswith("IDLinkAttributeType")


def _refs(node: _Node) -> list[str]:
    """Every RefID of an element: some makes write two."""
    return [text for each in _attributes(node) if each.get("Name") == "RefID" and (text := _child(each, "Value"))]


def _pointers(aspect: _Node) -> Iterator[str]:
    """What an aspect of the table of contents points to: AspectRef, refURI, or a RefID as some makes write it."""
    for interface in aspect.iter("{*}ExternalInterface"):
        for attribute in _attributes(interface):
            if text := _child(attribute, "Value"):
                yield text.removeprefix("#")


def _true(text: str) -> bool:
    return text.lower() in ("true", "1")


def _short(text: str | None, most: int = TEXT_MAX) -> str:
    return (text or "")[:most]


def _refused(name: str, why: str, *, possible: str = "") -> NotValid:
    return NotValid(f"cannot read module type package {name}", why=why, possible=possible)
