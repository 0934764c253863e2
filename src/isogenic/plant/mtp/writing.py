"""A manifest as AutomationML of either dialect.

Guarantees: what is written is read back as the same manifest; the same manifest gives the
same bytes (ids are made of names, no time is written); every class that is referred to is
declared, so that a strict reader finds its libraries. Element order is CAEX's.
Leaves to others: packing it (archive), what it says (whoever publishes a module).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from lxml import etree

from isogenic.plant.mtp.model import Access, DataAssembly, Dialect, Element, Item, Kind, Manifest, Procedure, Service

__all__ = ["write_manifest"]

_CAEX = "http://www.dke.de/CAEX"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_LINK = "MTPATLib/IDReferenceType/IDLinkAttributeType"
_REF = "MTPATLib/IDReferenceType/RefIDAttributeType"
_ASPECT = "MTPATLib/IDReferenceType/AspectIDAttributeType"
_SERVER = "MTPCommunicationSUCLib/ServerAssembly/OPCUAServer"
_ITEM = "MTPCommunicationICLib/DataItem/OPCUAItem"
_CONNECTOR = "AutomationMLInterfaceClassLib/AutomationMLBaseInterface/ExternalDataConnector"
_TYPES = {"s": "xs:string", "i": "xs:integer", "g": "xs:ID", "b": "xs:base64Binary"}
_ACCESS = {Access.NONE: "0", Access.READ: "1", Access.WRITE: "2", Access.BOTH: "3"}
_PATHS = {
    Kind.CONFIGURATION: "MTPServiceSUCLib/ServiceParameter/ConfigurationParameter",
    Kind.PARAMETER: "MTPServiceSUCLib/ServiceParameter/ProcedureParameter",
    Kind.REPORT: "MTPServiceSUCLib/ServiceParameter/ReportValue",
    Kind.VALUE_IN: "MTPProcessValueSUCLib/ProcessValue/ProcessValueIn",
    Kind.VALUE_OUT: "MTPProcessValueSUCLib/ProcessValue/ProcessValueOut",
    Kind.EQUIPMENT: "MTPServiceSUCLib/RequiredEquipment",
}
_Node = Any  # an lxml element


def write_manifest(manifest: Manifest) -> bytes:
    """The manifest's AutomationML, in its own dialect."""
    return _Writer(manifest).bytes()


class _Writer:
    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._new = manifest.dialect is Dialect.V1_1
        self._used: dict[str, set[str]] = {"SystemUnitClass": set(), "InterfaceClass": set(), "AttributeType": set()}

    def bytes(self) -> bytes:
        """The document."""
        root = self._root()
        self._toc(root)
        if self._manifest.services:
            services = etree.SubElement(root, "InstanceHierarchy", Name="Services", ID=self._id("aspect", "services"))
            for each in self._manifest.services:
                self._service(services, each)
        self._libraries(root)
        return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True))

    def _root(self) -> _Node:
        if self._new:
            root = etree.Element("CAEXFile", nsmap={None: _CAEX, "xsi": _XSI}, SchemaVersion="3.0", FileName="manifest.aml")
        else:
            root = etree.Element("CAEXFile", nsmap={"xsi": _XSI}, SchemaVersion="2.15", FileName="manifest.aml")
            root.set(f"{{{_XSI}}}noNamespaceSchemaLocation", "CAEX_ClassModel_V2.15.xsd")
        for part, version in self._manifest.documents.items():
            additional = etree.SubElement(root, "AdditionalInformation", DocumentVersions="Recommendations")
            etree.SubElement(additional, "Document", DocumentIdentifier=part, Version=version)
        if self._new:
            etree.SubElement(root, "SuperiorStandardVersion").text = "AutomationML 2.10"
        return root

    # ---- the table of contents, the variables and the data assemblies ----

    def _toc(self, root: _Node) -> None:
        manifest = self._manifest
        hierarchy = etree.SubElement(root, "InstanceHierarchy", Name="ModuleTypePackage", ID=self._id("aspect", "manifest"))
        module = self._element(hierarchy, manifest.name, "MTPSUCLib/ModuleTypePackage", "module")
        for name, text in (("Version", manifest.version), ("DeviceRevision", manifest.revision), ("ManufacturerUri", manifest.manufacturer)):
            self._attribute(module, name, text)
        if manifest.services:
            self._pointer(module)
        communication = self._element(module, "CommunicationSet", "MTPSUCLib/CommunicationSet", "communication")
        sources = self._element(communication, "SourceList", "MTPSUCLib/CommunicationSet/SourceList", "sources")
        server = self._element(sources, "OPCUAServer", _SERVER, "server")
        self._attribute(server, "Endpoint", manifest.endpoint)
        for assembly in manifest.assemblies:
            for variable, item in assembly.items.items():
                self._item(server, assembly, variable, item)
        instances = self._element(communication, "InstanceList", "MTPSUCLib/CommunicationSet/InstanceList", "instances")
        for assembly in manifest.assemblies:
            self._assembly(instances, assembly)

    def _pointer(self, module: _Node) -> None:
        """Where the services are: by AspectRef in the newer dialect, by refURI in the older."""
        aspect = self._element(module, "ServiceSet", "MTPServiceSUCLib/ServiceSet", "services set")
        path = "MTPICLib/AspectSetReference" if self._new else _CONNECTOR
        self._used["InterfaceClass"].add(path)
        interface = etree.SubElement(aspect, "ExternalInterface", Name="AspectRef", ID=self._id("pointer", "services"), RefBaseClassPath=path)
        target = self._id("aspect", "services")
        if self._new:
            self._attribute(interface, "AspectRef", target, ref=_ASPECT)
        else:
            self._attribute(interface, "refURI", f"#{target}", kind="xs:anyURI")

    def _item(self, server: _Node, assembly: DataAssembly, variable: str, item: Item) -> None:
        self._used["InterfaceClass"].add(_ITEM)
        name = f"{assembly.name}.{variable}"
        node = etree.SubElement(server, "ExternalInterface", Name=name, ID=self._item_id(assembly, variable), RefBaseClassPath=_ITEM)
        self._attribute(node, "Identifier", item.identifier, kind=_TYPES[item.kind])
        self._attribute(node, "Namespace", item.namespace)
        self._attribute(node, "Access", _ACCESS[item.access], kind="xs:unsignedByte")

    def _assembly(self, instances: _Node, assembly: DataAssembly) -> None:
        node = self._element(instances, assembly.name, assembly.path, "assembly", assembly.ref)
        self._ref(node, assembly.ref)
        self._attribute(node, "TagName", assembly.name)
        self._attribute(node, "TagDescription", assembly.title)
        for variable in dict.fromkeys((*assembly.items, *assembly.values)):
            default = assembly.values.get(variable)
            if variable in assembly.items:
                link = {"ref": _LINK} if self._new else {"kind": "xs:IDREF"}
                self._attribute(node, variable, self._item_id(assembly, variable), default=default, **link)
            else:
                self._attribute(node, variable, default or "")

    # ---- the services ----

    def _service(self, hierarchy: _Node, service: Service) -> None:
        node = self._element(hierarchy, service.name, "MTPServiceSUCLib/Service", "service", title=service.title)
        self._ref(node, service.control.ref if service.control else "")
        for each in service.configuration:
            self._inner(node, each, service.name)
        for procedure in service.procedures:
            self._procedure(node, procedure, service.name)

    def _procedure(self, service: _Node, procedure: Procedure, inside: str) -> None:
        node = self._element(service, procedure.name, "MTPServiceSUCLib/Service/Procedure", "procedure", inside, title=procedure.title)
        self._ref(node, procedure.health.ref if procedure.health else "")
        self._attribute(node, "IsSelfCompleting", str(procedure.self_completing).lower(), kind="xs:boolean")
        self._attribute(node, "IsDefault", str(procedure.default).lower(), kind="xs:boolean")
        self._attribute(node, "ProcedureID", str(procedure.number), kind="xs:unsignedInt")
        for each in procedure.elements:
            self._inner(node, each, f"{inside}/{procedure.name}")

    def _inner(self, parent: _Node, element: Element, inside: str) -> None:
        node = self._element(parent, element.name, _PATHS[element.kind], str(element.kind), inside, title=element.title)
        self._ref(node, element.assembly.ref if element.assembly else "")

    # ---- parts ----

    def _element(self, parent: _Node, name: str, path: str, *key: str, title: str = "") -> _Node:
        self._used["SystemUnitClass"].add(path)
        node = etree.SubElement(parent, "InternalElement", Name=name, ID=self._id(*key, name), RefBaseSystemUnitPath=path)
        if title:
            etree.SubElement(node, "Description").text = title
        return node

    def _attribute(self, parent: _Node, name: str, value: str, *, kind: str = "xs:string", ref: str = "", default: str | None = None) -> None:
        node = etree.SubElement(parent, "Attribute", Name=name, AttributeDataType=kind)
        if ref:
            self._used["AttributeType"].add(ref)
            node.set("RefAttributeType", ref)
        if default is not None:
            etree.SubElement(node, "DefaultValue").text = default
        if value:
            etree.SubElement(node, "Value").text = value

    def _ref(self, node: _Node, ref: str) -> None:
        if ref:
            self._attribute(node, "RefID", ref, **({"ref": _REF} if self._new else {"kind": "xs:ID"}))

    def _id(self, *key: str) -> str:
        return str(uuid5(NAMESPACE_URL, "\x1f".join((self._manifest.name, *key))))

    def _item_id(self, assembly: DataAssembly, variable: str) -> str:
        return self._id("item", assembly.ref, assembly.name, variable)

    def _libraries(self, root: _Node) -> None:
        """Every class that is referred to, declared by its path."""
        kinds = (("InterfaceClassLib", "InterfaceClass"), ("SystemUnitClassLib", "SystemUnitClass"), ("AttributeTypeLib", "AttributeType"))
        for library, kind in kinds:
            tops: dict[str, _Node] = {}
            for path in _with_parents(self._used[kind]):
                first, *rest = path.split("/")
                if first not in tops:
                    tops[first] = etree.SubElement(root, library, Name=first)
                node = tops[first]
                for name in rest:
                    found = next((each for each in node if each.get("Name") == name), None)
                    node = etree.SubElement(node, kind, Name=name) if found is None else found


def _with_parents(paths: Iterable[str]) -> list[str]:
    return sorted({"/".join(path.split("/")[: at + 1]) for path in paths for at in range(1, path.count("/") + 1)})
