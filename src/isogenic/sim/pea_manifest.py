"""What a simulated module publishes of itself: its manifest, from its definition.

The ids are made of names, so that the same definition always gives the same manifest.
"""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from isogenic.plant.mtp.model import Access, DataAssembly, Dialect, Element, Item, Kind, Manifest, Procedure, Service
from isogenic.sim.pea import Pea, PeaDefinition, PeaParameter, PeaService, PeaValue, Variable, Wire

__all__ = ["manifest_of"]

_ELEMENT = "MTPDataObjectSUCLib/DataAssembly/ServiceElement"
_PARAMETERS = {Wire.REAL: "AnaServParam", Wire.WHOLE: "DIntServParam", Wire.TRUTH: "BinServParam", Wire.TEXT: "StringServParam"}
_VIEWS = {Wire.REAL: "AnaView", Wire.WHOLE: "DIntView", Wire.TRUTH: "BinView", Wire.TEXT: "StringView"}
_SET = {Wire.REAL: "AnaMan", Wire.WHOLE: "DIntMan", Wire.TRUTH: "BinMan"}
_DOCUMENTS = {
    "VDI/VDE/NAMUR 2658-1:Manifest": "1.1.0",
    "VDI/VDE/NAMUR 2658-3": "1.0.0",
    "ModuleTypePackage:ServiceSet": "1.0.0",
}


def manifest_of(definition: PeaDefinition, *, endpoint: str = "", dialect: Dialect = Dialect.V1_1) -> Manifest:
    """The manifest of a module type, for one installation of it."""
    return _Writer(definition).manifest(endpoint, dialect)


class _Writer:
    def __init__(self, definition: PeaDefinition) -> None:
        self._definition = definition
        self._by_tag: dict[str, list[Variable]] = {}
        for each in Pea(definition).variables.values():
            self._by_tag.setdefault(each.key.rpartition(".")[0], []).append(each)
        self._made: dict[str, DataAssembly] = {}

    def manifest(self, endpoint: str, dialect: Dialect) -> Manifest:
        services = tuple(self._service(each) for each in self._definition.services)
        for value in self._definition.assemblies:
            self._value(value.name, value)
        return Manifest(
            name=self._definition.name,
            dialect=dialect,
            version=self._definition.version,
            services=services,
            assemblies=tuple(self._made.values()),
            endpoint=endpoint,
            documents=_DOCUMENTS | {"VDI/VDE/NAMUR 2658-1:Manifest": str(dialect)},
            manufacturer=self._definition.manufacturer,
        )

    def _service(self, service: PeaService) -> Service:
        control = self._assembly(service.name, f"{_ELEMENT}/ServiceControl", service.title)
        configuration = tuple(self._parameter(service.name, each, Kind.CONFIGURATION) for each in service.configuration)
        procedures = []
        for way in service.procedures:
            elements = [self._parameter(service.name, each, Kind.PARAMETER) for each in way.parameters]
            for report in way.reports:
                elements.append(Element(report.name, Kind.REPORT, self._value(f"{service.name}.{report.name}", report), report.title))
            health = self._assembly(f"{service.name}.{way.name}.health", f"{_ELEMENT}/ProcedureHealthView", "")
            procedures.append(Procedure(way.name, way.number, way.self_completing, way is service.procedures[0], tuple(elements), health, way.title))
        return Service(service.name, control, tuple(procedures), configuration, service.title)

    def _parameter(self, service: str, known: PeaParameter, kind: Kind) -> Element:
        path = f"{_ELEMENT}/ParameterElement/{_PARAMETERS[known.wire]}"
        return Element(known.name, kind, self._assembly(f"{service}.{known.name}", path, known.title), known.title)

    def _value(self, tag: str, known: PeaValue) -> DataAssembly:
        path = f"OperationElement/{_SET[known.wire]}" if known.settable else f"IndicatorElement/{_VIEWS[known.wire]}"
        return self._assembly(tag, f"MTPDataObjectSUCLib/DataAssembly/{path}", known.title)

    def _assembly(self, tag: str, path: str, title: str) -> DataAssembly:
        if tag not in self._made:
            bound = self._by_tag[tag]
            self._made[tag] = DataAssembly(
                name=tag,
                ref=str(uuid5(NAMESPACE_URL, f"{self._definition.namespace}#{self._definition.name}.{tag}")),
                path=path,
                title=title,
                items={_word(each): self._item(each) for each in bound},
                values={_word(each): _text(each) for each in bound},
            )
        return self._made[tag]

    def _item(self, variable: Variable) -> Item:
        return Item(self._definition.namespace, variable.key, "s", Access.BOTH if variable.writable else Access.READ)


def _word(variable: Variable) -> str:
    return variable.key.rpartition(".")[2]


def _text(variable: Variable) -> str:
    value = variable.initial
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
