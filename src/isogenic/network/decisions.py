"""What people decide at the control site: may they, what follows, and which facts say so.

Each function takes the node, the person and an opened signing key, decides with the pure
functions of the rooms below, and notes the facts with the person as actor. Nothing is
noted unless everything is in order; a refusal to release is itself noted.
"""

from __future__ import annotations

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.identities import check_no_identity_is_reused, follow
from isogenic.authority.people import Directory, DirectoryPublished, Person
from isogenic.authority.rules import Act, require
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid, Refusal
from isogenic.ids import BatchId, DeviationId, LotId, PersonId, ProductId, RecipeId, SiteId, SponsorId
from isogenic.monitoring.facts import ModelPublished
from isogenic.monitoring.model import Model
from isogenic.network.acting import actor_of, role_for
from isogenic.network.control import CONTROL, ControlNode, decided_alone
from isogenic.network.entitling import derive_entitlements
from isogenic.network.site_documents import approve_documents, check_site_document, documents_at_hand, submitted_recipe
from isogenic.plant.settings import SettingsReleased, load_settings
from isogenic.quality.deviations import DeviationDisposed, Disposition, dispose, disposition_digest
from isogenic.quality.record import LotRecord
from isogenic.quality.release import (
    LotRejected,
    LotReleased,
    PublishedRecipe,
    ReleaseCase,
    ReleaseNotes,
    Witness,
    decide_release,
    refuse,
    reject,
    rejection_digest,
    release,
    release_digest,
)
from isogenic.quality.specifications import SpecificationPublished, read_specification
from isogenic.recipes.approval import RecipeApproved, RecipePublished, RecipeSubmitted
from isogenic.recipes.general import load_general
from isogenic.recipes.model import digest_of
from isogenic.recipes.pictures import PicturePublished, PictureSubmitted, pictures_of, read_picture
from isogenic.records.dossier import audience_of
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import Signer

__all__ = [
    "actor_of",
    "approve_recipe",
    "directory",
    "dispose_deviation",
    "publish_directory",
    "publish_model",
    "publish_recipe",
    "publish_specification",
    "reject_lot",
    "release_case",
    "release_lot",
    "role_for",
    "submit_picture",
    "submit_recipe",
    "witness_of",
    "works_for",
]


def directory(node: ControlNode) -> Directory:
    """Who is trusted, or a refusal while nobody is."""
    if node.state.directory is None:
        raise NotAllowed("nobody can act at the control site", why="no directory of people has been published yet")
    return node.state.directory


@decided_alone
def publish_directory(node: ControlNode, people: Directory) -> None:
    """Publish who is trusted, to every site and to the house. A directory that gives an id or a key to somebody else is refused."""
    in_force = follow(node.state.directory, DirectoryPublished(CONTROL, people))  # with the keys and passkeys that changed since the last one
    assert in_force is not None
    against = stops(check_no_identity_is_reused(node.state.directories, in_force))
    if against:
        raise NotAllowed(
            "cannot publish the directory", why="; ".join(note.text for note in against), possible="give a new person a new id and a new key"
        )
    node.publishing.publish(DirectoryPublished(CONTROL, people))
    derive_entitlements(node, people)


@decided_alone
def publish_specification(node: ControlNode, text: str) -> None:
    """Publish a product's specification, to every site and to the house."""
    specification = read_specification(text)
    node.publishing.publish(SpecificationPublished(specification.product, specification.version, digest_of(text), text))


@decided_alone
def release_settings(node: ControlNode, text: str) -> SettingsReleased:
    """Say what the modules of one site must be set to, to that site and to the house. A version never comes back."""
    read = load_settings(text, name="to be released")
    known = node.state.released_settings.get(read.site)
    if read.site not in directory(node).sites:
        raise NotFound(f"cannot release settings of {read.site}", why="the directory does not name that site")
    if known is not None and known.version >= read.version:
        raise NotAllowed(f"cannot release settings of {read.site} version {read.version}", why=f"version {known.version} is in force")
    released = SettingsReleased(read.site, read.version, text, read.digest)
    node.publishing.publish(released)
    return released


@decided_alone
def publish_model(node: ControlNode, data: bytes, *, product: ProductId) -> str:
    """Publish a reference model, to every site and to the house; the bytes go by digest."""
    model = Model.from_bytes(data)
    released = node.state.monitors.in_force(product)
    if released is not None:
        why = f"{released.model} version {released.version} was released by two people"
        raise NotAllowed(f"cannot publish {model.name} for {product}", why=why, possible="isogenic model test, then release")
    digest = node.blobs.put(data)
    node.publishing.publish(ModelPublished(model.name, product, digest, len(data)))
    return digest


# ---- recipes ----


@decided_alone
def submit_picture(node: ControlNode, person: Person | None, data: bytes) -> PictureSubmitted:
    """Take up a picture that recipes may name; without a person it is the node's own, from its folder."""
    if person is not None:
        require(person, Act.SIGN_RECIPE_AS_AUTHOR)
    picture = read_picture(data)
    known = node.state.pictures.get(picture.digest)
    if known is not None and node.blobs.has(picture.digest):
        return known
    node.blobs.put(data)
    submitted = PictureSubmitted(picture.digest, picture.media, len(data), picture.width, picture.height)
    node.note([submitted], actor=actor_of(person, role_for(person, Act.SIGN_RECIPE_AS_AUTHOR)) if person is not None else None)
    return submitted


@decided_alone
def submit_recipe(node: ControlNode, person: Person, text: str) -> RecipeSubmitted:
    """Put a general recipe forward, once it is valid; nothing is approved by that."""
    require(person, Act.SIGN_RECIPE_AS_AUTHOR)
    recipe = load_general(text)
    key = (recipe.recipe, recipe.version)
    known = node.state.submitted.get(key)
    digest = digest_of(text)
    if known is not None and known.digest != digest:
        raise NotAllowed(
            f"cannot submit {recipe.recipe} version {recipe.version}",
            why="that version is submitted with another text",
            possible="give it the next version number",
        )
    submitted = RecipeSubmitted(recipe.recipe, recipe.version, recipe.product, digest, text)
    if known is None:
        node.note([submitted], actor=actor_of(person, role_for(person, Act.SIGN_RECIPE_AS_AUTHOR)))
    return submitted


@decided_alone
def approve_recipe(node: ControlNode, person: Person, signer: Signer | Pen, *, recipe: RecipeId, version: int, act: Act) -> RecipeApproved:
    """Sign a submitted recipe, as its author or as its approver: two different people."""
    submitted = submitted_recipe(node, recipe, version)
    before = node.state.approvals.get((recipe, version), ())
    author = next((each.signature.person for each in before if each.signature.meaning == MEANINGS[Act.SIGN_RECIPE_AS_AUTHOR]), None)
    if any(each.signature.person == person.id for each in before):
        raise NotAllowed(f"{person.id} cannot sign {recipe} version {version} again", why="two different people sign a recipe")
    require(person, act, author=author)
    role = role_for(person, act)
    signature = sign(signer, person, role=role, meaning=MEANINGS[act], at=node.clock.now().at, digest=submitted.digest)
    approved = RecipeApproved(recipe, version, submitted.digest, signature)
    node.note([approved], actor=actor_of(person, role, signature))
    if isinstance(signer, Signer):  # a passkey signs one thing at a time: then each site's document by itself
        approve_documents(node, person, signer, recipe=recipe, version=version, act=act)
    return approved


@decided_alone
def publish_recipe(node: ControlNode, person: Person, *, recipe: RecipeId, version: int) -> list[SiteId]:
    """Publish a recipe that two people have signed, to every site that has a document for it; gives the sites that it is new for.

    A site whose ledger waits gets it once it has answered (publishing).
    """
    require(person, Act.APPROVE_RECIPE)
    submitted = submitted_recipe(node, recipe, version)
    if digest_of(submitted.text) != submitted.digest:
        raise NotTrusted(f"cannot publish {recipe} version {version}", why="its text is not the one that its digest names")
    approvals = tuple(each.signature for each in node.state.approvals.get((recipe, version), ()))
    against = stops(check_two_people_approved(submitted.digest, approvals, directory(node)))
    if against:
        raise NotAllowed(
            f"cannot publish {recipe} version {version}",
            why="; ".join(note.text for note in against),
            possible="it takes an author and an approver",
        )
    pictures = _pictures(node, submitted)
    published = []
    said = [each.payload for each in node.state.announced if isinstance(each.payload, RecipePublished)]
    sponsor = load_general(submitted.text).sponsor
    held_back = []
    for document in documents_at_hand(node, person, recipe, version):
        site = document.site
        if (recipe, version) in node.state.site(site).published or not works_for(node, site, sponsor):
            continue
        if any((each.recipe, each.version, each.site) == (recipe, version, site) for each in said):
            continue  # decided before, and on its way
        stopped = stops(check_site_document(node, document, directory=directory(node)))
        if stopped:
            held_back.append(f"{site}: " + "; ".join(note.text for note in stopped))
            continue
        published.append(RecipePublished(recipe, version, submitted.digest, submitted.text, approvals, site, document.digest, document.text))
    if held_back and not published:
        raise NotAllowed(f"cannot publish {recipe} version {version}", why="; ".join(held_back), possible="two people sign each site's document")
    shown = [PicturePublished(recipe, version, each.site, digest, media, size) for each in published for digest, media, size in pictures]
    node.publishing.publish(*shown, *published, actor=actor_of(person, role_for(person, Act.APPROVE_RECIPE)))
    return [each.site for each in published]


def _pictures(node: ControlNode, submitted: RecipeSubmitted) -> list[tuple[str, str, int]]:
    """Digest, type and size of every picture that the recipe names; without one of them it is not published."""
    named = pictures_of(load_general(submitted.text))
    missing = [digest for digest in named if digest not in node.state.pictures or not node.blobs.has(digest)]
    if missing:
        raise NotAllowed(
            f"cannot publish {submitted.recipe} version {submitted.version}",
            why=f"it names pictures that are not here: {', '.join(digest[:16] for digest in missing)}",
            possible="submit the pictures first",
        )
    return [(digest, node.state.pictures[digest].media, node.state.pictures[digest].bytes) for digest in named]


def works_for(node: ControlNode, site: SiteId, sponsor: SponsorId | None) -> bool:
    """Whether a site keeps a ledger for the sponsor: nobody else's recipe reaches it (I7)."""
    return sponsor is None or any(owner == site and audience_of(origin) == sponsor for origin, (owner, _) in node.copies.items())


# ---- deviations ----


@decided_alone
def dispose_deviation(
    node: ControlNode,
    person: Person,
    signer: Signer | Pen,
    *,
    deviation: DeviationId,
    disposition: Disposition,
    justification: str,
    batch: BatchId | None = None,
) -> DeviationDisposed:
    """Say what a deviation means for its lot, by signature. `batch` is needed only where two sites use one name."""
    record, found = node.state.deviation(deviation, batch=batch)
    if record.site is None or record.site != found.opened.site:
        raise NotAllowed(
            f"cannot dispose of {deviation}", why=f"it names {found.opened.site}, its batch is of {record.site}", possible="reject the lot"
        )
    require(person, Act.DISPOSE_DEVIATION, site=record.site, operators=record.operators)
    role = role_for(person, Act.DISPOSE_DEVIATION)
    digest = disposition_digest(found.opened, disposition, justification)
    signature = sign(signer, person, role=role, meaning=MEANINGS[Act.DISPOSE_DEVIATION], at=node.clock.now().at, digest=digest)
    disposed = dispose(found, disposition, justification=justification, signature=signature, directory=directory(node), operators=record.operators)
    node.note([disposed], site=record.site, actor=actor_of(person, role, signature))
    return disposed


# ---- release ----


def release_case(node: ControlNode, lot: LotId, *, asked_by: PersonId) -> ReleaseCase:
    """Everything that release looks at: the record, what is witnessed of it, what was published, who asks."""
    record = node.state.lot(lot)
    if record.site is None or record.product is None or record.recipe is None:
        raise NotFound(f"no record of {lot}", why="its batch has not told site, product and recipe")
    specification = node.state.specifications.get(record.product)
    if specification is None:
        raise NotFound(f"no specification of {record.product}", why="none has been published")
    published = node.state.site(record.site).published.get((record.recipe, record.recipe_version))
    return ReleaseCase(
        record=record,
        specification=specification,
        directory=directory(node),
        recipe=PublishedRecipe(published.digest, published.approvals) if published else PublishedRecipe("", ()),
        witness=witness_of(node, record),
        blocks=frozenset(block.digest for block in record.blocks if _held(node, block.digest)),
        asked_by=asked_by,
        assemblies=node.state.stocks.installed_for(lot, at=record.site),
    )


def witness_of(node: ControlNode, record: LotRecord) -> Witness:
    """What is held of the ledger that holds a record, at the oldest checkpoint that covers it."""
    return _witness(node.ledger(record.ledger), needed=record.size_needed)


def _witness(copy: Ledger | Copy, *, needed: int) -> Witness:
    """What is held of a site's ledger, at the oldest checkpoint that covers the record."""
    receipt, covering = copy.store.receipt(), copy.store.checkpoint_after(needed - 1)
    if covering is None or isinstance(copy, Ledger):
        return Witness(held=copy.size, cosigned=receipt[0] if receipt else 0, size=0, root="")
    checkpoint, _ = copy.keys.open(covering[1])
    return Witness(held=copy.size, cosigned=receipt[0] if receipt else 0, size=checkpoint.size, root=checkpoint.root.hex())


def _held(node: ControlNode, digest: str) -> bool:
    """Whether a block is here and its bytes hash to its digest when read now."""
    try:
        node.blobs.get(digest)
    except Refusal:
        return False
    return True


@decided_alone
def release_lot(
    node: ControlNode, person: Person, signer: Signer | Pen, *, lot: LotId, shown: str | None = None
) -> tuple[LotReleased | None, ReleaseNotes]:
    """Release by signature if no check stands against it; else note the refusal with its reasons.

    Who may not release at all is refused before anything is noted.
    `shown` is the digest of the page that the person saw; if the record has changed since, nothing is signed.
    """
    case = release_case(node, lot, asked_by=person.id)
    require(person, Act.RELEASE_LOT, site=case.record.site, operators=case.record.operators)  # nobody else's question is worth a fact
    notes = release(case)
    role = role_for(person, Act.RELEASE_LOT)
    if not notes.allowed:
        node.note([refuse(case)], site=case.record.site, actor=actor_of(person, role))
        return None, notes
    digest = release_digest(case, notes)
    if shown is not None and shown != digest:
        raise NotAllowed(f"cannot release {lot}", why="its record has changed since the page was shown", possible="look at the page again, then sign")
    signature = sign(signer, person, role=role, meaning=MEANINGS[Act.RELEASE_LOT], at=node.clock.now().at, digest=digest)
    released = decide_release(case, signature)
    node.note([released], site=case.record.site, actor=actor_of(person, role, signature))
    return released, notes


@decided_alone
def reject_lot(node: ControlNode, person: Person, signer: Signer | Pen, *, lot: LotId, reason: str) -> LotRejected:
    """Reject a lot by signature, with the reason."""
    record: LotRecord = node.state.lot(lot)
    if record.site is None:
        raise NotValid(f"cannot reject {lot}", why="its record names no site")
    require(person, Act.REJECT_LOT, site=record.site, operators=record.operators)
    role = role_for(person, Act.REJECT_LOT)
    digest = rejection_digest(record, reason)
    signature = sign(signer, person, role=role, meaning=MEANINGS[Act.REJECT_LOT], at=node.clock.now().at, digest=digest)
    rejected = reject(record, reason, signature=signature, directory=directory(node))
    node.note([rejected], site=record.site, actor=actor_of(person, role, signature))
    return rejected
