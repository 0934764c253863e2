"""Where a released model stands at a site: verified, and for which units.

Guarantees: pure. A site watches with the bytes whose digest two people signed together with the document and the report, and
with no other; a unit outside of the model's scale, a site that it does not name, another product: refused with the reason.
Leaves to others: fetching the bytes, and judging (sites.loop).
"""

from __future__ import annotations

import hashlib

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.people import Directory
from isogenic.checks import stops
from isogenic.errors import NotValid
from isogenic.monitoring.lifecycle.document import ModelDocument, read_model_document
from isogenic.monitoring.lifecycle.facts import ModelAccepted, ModelNotAccepted, ModelReleased
from isogenic.plant.model import SitePlant

__all__ = ["answer_release", "outside", "release_digest", "text_digest"]


def text_digest(text: str) -> str:
    """The digest of a document's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def release_digest(*, document: str, model: str, report: str) -> str:
    """What two people sign: these three digests together."""
    return hashlib.sha256(f"isogenic monitoring model release 1\ndocument {document}\nmodel {model}\nreport {report}\n".encode()).hexdigest()


def outside(document: ModelDocument, *, litres: float) -> str | None:
    """Why a vessel of this working volume is outside of the input space."""
    space = document.space
    if space.low <= litres <= space.high:
        return None
    return f"{litres:g} L is outside of the {space.low:g} to {space.high:g} L that {document.model} was released for"


def answer_release(released: ModelReleased, *, plant: SitePlant, directory: Directory) -> ModelAccepted | ModelNotAccepted:
    """Verify a released model as a site does: the same answer from the same facts."""
    digest = release_digest(document=text_digest(released.text), model=released.digest, report=released.report)
    reasons = [note.text for note in stops(check_two_people_approved(digest, released.approvals, directory, what="model"))]
    try:
        document = read_model_document(released.text)
    except NotValid as refusal:
        return ModelNotAccepted(released.product, released.model, released.version, released.digest, (*reasons, str(refusal)))
    said = (document.model, document.version, document.product, document.digest)
    if said != (released.model, released.version, released.product, released.digest):
        reasons.append(
            f"its document is of {document.model} version {document.version} for {document.product}, digest {document.digest[:16] or 'none'}"
        )
    if plant.site not in document.space.sites:
        reasons.append(f"{plant.site} is outside of its input space: {', '.join(document.space.sites)}")
    found = {str(name): outside(document, litres=unit.working_volume.to("L").value) for name, unit in plant.units.items()}
    units = tuple(sorted(name for name, why in found.items() if why is None))
    others = tuple(f"{name}: {why}" for name, why in sorted(found.items()) if why is not None)
    if not units:
        reasons += others
    if reasons:
        return ModelNotAccepted(released.product, released.model, released.version, released.digest, tuple(reasons))
    return ModelAccepted(released.product, released.model, released.version, released.digest, units, others)
