"""BatchML (ANSI/ISA-88.00.02 as XML, B2MML V0700): a master recipe from bytes, and to bytes.

The subset is a table: which element may stand in which, in the order that the schema wants. What a
file has besides is listed with its path, never lost in silence. What the elements mean is told to
our documents by `batchml_mapping`.

The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International.

Guarantees: any bytes give a recipe with a list of what was not carried, or one `NotValid`; entities,
document types and outside references are off, size, depth and number of elements are bounded;
`read(written(recipe)) == (recipe, ())`; the same recipe gives the same bytes.
Leaves to others: meaning (batchml_mapping), reading files (command line).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from isogenic.documents import complain_of_direction
from isogenic.errors import NotValid

__all__ = ["COURTESY", "NAMESPACE", "Node", "read", "written"]

NAMESPACE = "http://www.mesa.org/xml/B2MML"
COURTESY = "The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International."
BYTES_MAX = 4_000_000  # a master recipe of 60 phases has about 200 kB
NODES_MAX = 50_000
DEPTH_MAX = 24
TEXT_MAX = 20_000  # characters of one element
MISSED_MAX = 200  # lines of what is not carried

# Element -> what may stand in it, in the schema's order; what is not a key here holds text.
_INSIDE = {
    "BatchInformation": "ListHeader Description MasterRecipe",
    "ListHeader": "ID CreateDate",
    "MasterRecipe": "ID Version VersionDate Description Header EquipmentRequirement Formula ProcedureLogic RecipeElement OtherInformation",
    "Header": "ProductID ProductName",
    "EquipmentRequirement": "ID Constraint Description",
    "Constraint": "ID Condition",
    "Formula": "Description Parameter",
    "Parameter": "ID Description ParameterType ParameterSubType Value Scaled ScaleReference Parameter",
    "Value": "ValueString DataInterpretation DataType UnitOfMeasure Key",
    "ProcedureLogic": "Link Step Transition",
    "Link": "ID FromID ToID LinkType Depiction EvaluationOrder Description",
    "FromID": "FromIDValue FromType IDScope",
    "ToID": "ToIDValue ToType IDScope",
    "Step": "ID RecipeElementID RecipeElementVersion Description",
    "Transition": "ID Condition Description",
    "RecipeElement": "ID Version VersionDate Description RecipeElementType BuildingBlockElementID BuildingBlockElementVersion ActualEquipmentID"
    " Header EquipmentRequirement Parameter ProcedureLogic RecipeElement OtherInformation",
    "OtherInformation": "ID Value Description",
}
INSIDE: dict[str, list[str]] = {tag: inside.split() for tag, inside in _INSIDE.items()}


@dataclass(frozen=True, slots=True)
class Node:
    """One element: its text, or what stands in it."""

    tag: str
    text: str = ""
    inside: tuple[Node, ...] = ()

    def all(self, tag: str) -> tuple[Node, ...]:
        """Every element of this name."""
        return tuple(each for each in self.inside if each.tag == tag)

    def one(self, tag: str) -> Node:
        """The first element of this name; an empty one where there is none."""
        return next((each for each in self.inside if each.tag == tag), Node(tag))

    def said(self, *path: str) -> str:
        """The text at the end of a path of names; empty where there is none."""
        node = self
        for tag in path:
            node = node.one(tag)
        return node.text


# --- reading ------------------------------------------------------------------------------------


def read(data: bytes) -> tuple[Node, tuple[str, ...]]:
    """The first master recipe of a file, and every element and attribute that was not carried."""
    from lxml import etree  # slow to import, so only where a file is really read

    if len(data) > BYTES_MAX:
        raise NotValid("cannot read the BatchML file", why=f"{len(data)} bytes are more than {BYTES_MAX}")
    if data.count(b"<") > 2 * NODES_MAX:  # before a tree of them takes a hundred times their memory; a tag opens and closes
        raise NotValid("cannot read the BatchML file", why=f"more than {NODES_MAX} elements")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as trouble:
        raise NotValid("cannot read the BatchML file", why=f"it is no XML: {' '.join(str(trouble).split())[:120]}") from trouble
    if root is None or root.getroottree().docinfo.doctype:
        raise NotValid("cannot read the BatchML file", why="it declares a document type or entities", possible="export it without")
    missed: list[str] = []
    _Reader(missed).check_bounds(root)
    found = _Reader(missed).node(root, "", 0)
    recipes = found.all("MasterRecipe") if found.tag == "BatchInformation" else (found,) if found.tag == "MasterRecipe" else ()
    if not recipes:
        raise NotValid("cannot read the BatchML file", why=f"it holds no MasterRecipe but {found.tag[:60]!r}")
    missed += [f"MasterRecipe {each.said('ID')[:60]}: a file is read for its first recipe" for each in recipes[1:]]
    more = [f"and {len(missed) - MISSED_MAX} more"] if len(missed) > MISSED_MAX else []
    return recipes[0], (*missed[:MISSED_MAX], *more)


class _Reader:
    def __init__(self, missed: list[str]) -> None:
        self.missed = missed

    def check_bounds(self, root: object) -> None:
        """Refuse what is too deep or too much before anything is built."""
        count, open_nodes = 0, [(root, 0)]
        while open_nodes:
            node, depth = open_nodes.pop()
            count += 1
            if count > NODES_MAX or depth > DEPTH_MAX:
                raise NotValid("cannot read the BatchML file", why=f"more than {NODES_MAX} elements, or nested deeper than {DEPTH_MAX}")
            open_nodes += [(each, depth + 1) for each in node]  # type: ignore[attr-defined]

    def node(self, element: object, path: str, depth: int) -> Node:
        tag = _local(element)
        here = f"{path}/{tag}" if path else tag
        for name in element.attrib:  # type: ignore[attr-defined]
            self.missed.append(f"{here}@{str(name).rpartition('}')[2]}")
        text = unicodedata.normalize("NFC", element.text or "").strip()  # type: ignore[attr-defined]
        if tag not in INSIDE:
            for each in element:  # type: ignore[attr-defined]
                self.missed.append(f"{here}/{_local(each)}")
            if len(text) > TEXT_MAX or any(sign < " " and sign not in "\n\t" for sign in text):
                raise NotValid("cannot read the BatchML file", why=f"{here} holds more than {TEXT_MAX} characters, or signs that are no text")
            complain_of_direction(text, f"cannot read {here} of the BatchML file")
            return Node(tag, text)
        if text:
            self.missed.append(f"{here}: the text {text[:40]!r}")
        inside = []
        for each in element:  # type: ignore[attr-defined]
            name = _local(each)
            if name in INSIDE[tag]:
                inside.append(self.node(each, here, depth + 1))
            else:
                self.missed.append(f"{here}/{name}")
        order = INSIDE[tag]
        return Node(tag, "", tuple(sorted(inside, key=lambda each: order.index(each.tag))))


def _local(element: object) -> str:
    tag = element.tag  # type: ignore[attr-defined]
    return tag.rpartition("}")[2] if isinstance(tag, str) else "(no element)"


# --- writing ------------------------------------------------------------------------------------


def written(recipe: Node, *, at: str = "") -> bytes:
    """The recipe as a file of its own; `at` (RFC 3339) is the time of its making, where one is to be told."""
    header = Node("ListHeader", "", (Node("ID", recipe.said("ID")), *([Node("CreateDate", at)] if at else [])))
    root = Node("BatchInformation", "", (header, Node("Description", COURTESY), recipe))
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<!-- {COURTESY} -->", *_lines(root, 0)]
    return ("\n".join(lines) + "\n").encode()


def _lines(node: Node, depth: int) -> Iterator[str]:
    start, tag = "  " * depth, f"b2mml:{node.tag}"
    declared = f' xmlns:b2mml="{NAMESPACE}"' if depth == 0 else ""
    if node.tag in INSIDE:
        yield f"{start}<{tag}{declared}>"
        for each in node.inside:
            yield from _lines(each, depth + 1)
        yield f"{start}</{tag}>"
    else:
        text = node.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"{start}<{tag}>{text}</{tag}>" if text else f"{start}<{tag}/>"
