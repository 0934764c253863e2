"""Master files, licences, leases, competences and commitments over HTTP: read by everybody who is signed in, decided by signature.

Guarantees: every decision is taken by `network.licensing` or `network.competences`, by a person who gives the password again, or
answers with a passkey; what the rules refuse is noted with the person's name.
Leaves to others: what the objects are (authority), looks (screens.authority).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query, Response
from pydantic import BaseModel, Field

from isogenic.authority.competence import CompetenceGranted
from isogenic.authority.licences import ACTS, Command, possible
from isogenic.authority.master_file import Jurisdiction, load_master_file
from isogenic.authority.people import Person
from isogenic.authority.reports import Report, as_json, as_pdf, as_text
from isogenic.authority.rules import Act
from isogenic.clock import text_of_time, time_of_text
from isogenic.ids import LicenceId, MasterFileId, PersonId, SiteId
from isogenic.network.authority_reports import annual_report_of, registration_of
from isogenic.network.competences import grant_competence, withdraw_competence
from isogenic.network.control import ControlNode
from isogenic.network.differences import differences, file_in_force
from isogenic.network.licensing import (
    apply_for_licence,
    approve_master_file,
    change_licence,
    publish_commitments,
    publish_master_file,
    submit_master_file,
)
from isogenic.web.control_desk import signature_line
from isogenic.web.control_messages import SignatureLine
from isogenic.web.guard import READER, Asker
from isogenic.web.messages import RecipeText, Signing, SiteText, Version, Words
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS

__all__ = ["AuthorityPage", "CompetenceLine", "DifferenceLine", "FileLine", "LicenceLine", "authority_page", "authority_routes", "licence_lines"]

FileText = Annotated[str, Path(pattern="^MF-[A-Z0-9-]{1,37}$")]
LicenceText = Annotated[str, Path(pattern="^LIC-[A-Z0-9-]{1,36}$")]
PersonText = Annotated[str, Path(pattern="^[A-Z][A-Z0-9-]{0,39}$")]
CompetenceText = Annotated[str, Path(pattern="^[a-z][a-z0-9_]{0,59}$")]
PDF, TEXT = "application/pdf", "text/plain; charset=utf-8"
YEAR = timedelta(days=365)
FIRST = datetime(1970, 1, 1, tzinfo=UTC)  # no record is older; and a year before the first of all years is none
Noting = Callable[[ControlNode, Person, str], AbstractContextManager[None]]


class FileLine(BaseModel):
    """A version of a master file."""

    master_file: str
    version: int
    product: str
    state: str = Field(description="submitted, signed by one, approved, published, in force, or superseded")
    effective_from: str
    change: str
    why: str
    signatures: list[SignatureLine]
    sites: list[str]
    digest: str


class LicenceLine(BaseModel):
    """A licence, its lease, and what can be asked of it."""

    licence: str
    site: str
    master_file: str
    state: str
    since: str | None
    why: str
    applicant: str
    lease_until: str | None
    lease_taken: bool = Field(description="whether the site has it")
    possible: str


class CompetenceLine(BaseModel):
    """What a person is, or was, competent for."""

    person: str
    competence: str
    state: str = Field(description="held, ended, begins later, or withdrawn")
    until: str | None
    words: str
    by: str


class DifferenceLine(BaseModel):
    """One place where commitments, master file and executable recipe differ."""

    master_file: str
    kind: str
    severity: str
    where: str
    commitments: str
    on_file: str
    executable: str
    clause: str


class AuthorityPage(BaseModel):
    """Everything about who may make what where."""

    at: str
    files: list[FileLine]
    licences: list[LicenceLine]
    competences: list[CompetenceLine]
    commitments: list[str]
    differences: list[DifferenceLine]


class SignFile(Signing):
    """A signature under a master file: as its author, or as its approver."""

    act: Literal["author_master_file", "approve_master_file"]


class Application(Signing):
    """A licence is applied for."""

    licence: Annotated[str, Field(pattern="^LIC-[A-Z0-9-]{1,36}$")]
    site: SiteText
    master_file: Annotated[str, Field(pattern="^MF-[A-Z0-9-]{1,37}$")]
    reference: Annotated[str, Field(min_length=1, max_length=120)]
    why: Words


class LicenceCommand(Signing):
    """A command to a licence."""

    command: Literal["qualify", "activate", "pause", "resume", "suspend", "reinstate", "cease"]
    why: Words


class Grant(Signing):
    """A competence is granted."""

    competence: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,59}$")]
    until: Annotated[str, Field(max_length=40, description="RFC 3339")]
    basis: Words


class Withdrawal(Signing):
    """A competence is withdrawn."""

    why: Words


class CommitmentsBody(Signing):
    """What a marketing authorisation says."""

    text: Annotated[str, Field(max_length=200_000)]


def authority_page(node: ControlNode) -> AuthorityPage:
    """Everything, now."""
    state, now = node.state, node.clock.now().at
    return AuthorityPage(
        at=text_of_time(now),
        files=_files(node, now),
        licences=licence_lines(node),
        competences=_competences(node, now),
        commitments=[
            f"{each.authorisation} ({law}), version {each.version}: {each.holder}" for (_, law), each in sorted(state.authority.commitments.items())
        ],
        differences=[line for name in state.authority.names() for line in difference_lines(node, name)],
    )


def difference_lines(node: ControlNode, name: MasterFileId) -> list[DifferenceLine]:
    """The three-way difference of one master file."""
    return [
        DifferenceLine(
            master_file=str(name),
            kind=str(each.kind),
            severity=str(each.severity),
            where=each.where,
            commitments=each.commitments,
            on_file=each.master_file,
            executable=each.executable,
            clause=each.clause,
        )
        for each in differences(node.state, name, now=node.clock.now().at)
    ]


def _files(node: ControlNode, now: datetime) -> list[FileLine]:
    view, lines = node.state.authority, []
    for (name, version), submitted in sorted(view.submitted.items()):
        file = load_master_file(submitted.text)
        approvals = view.approvals.get((name, version), ())
        state = ("submitted", "signed by one", "approved")[min(len(approvals), 2)]
        if (name, version) in view.published:
            in_force = file_in_force(node.state, name, now).version
            state = "published" if version > in_force or file.effective_from > now else "in force" if version == in_force else "superseded"
        lines.append(
            FileLine(
                master_file=str(name),
                version=version,
                product=str(file.product),
                state=state,
                effective_from=text_of_time(file.effective_from),
                change=str(file.change),
                why=file.why,
                signatures=[signature_line(each.signature) for each in approvals],
                sites=[str(site) for site in file.sites],
                digest=submitted.digest,
            )
        )
    return lines


def licence_lines(node: ControlNode) -> list[LicenceLine]:
    """Every licence, oldest first."""
    view, lines = node.state.authority, []
    for each in view.licences.values():
        lease, place = view.leases.get(each.id), view.lease_at.get(each.id)
        lines.append(
            LicenceLine(
                licence=str(each.id),
                site=str(each.site),
                master_file=str(each.applied.master_file),
                state=str(each.state),
                since=text_of_time(each.since) if each.since else None,
                why=each.why,
                applicant=str(each.applicant),
                lease_until=text_of_time(lease.until) if lease else None,
                lease_taken=place is not None and node.ledgers[str(each.site)].witnessed > place,
                possible=possible(each.state),
            )
        )
    return lines


def _competences(node: ControlNode, now: datetime) -> list[CompetenceLine]:
    held, lines = node.state.competences, []
    for (person, word), said in sorted(held.said.items()):
        lacking = held.lacks(person, word, now)
        state = "held"
        if lacking:
            state = "withdrawn" if not isinstance(said, CompetenceGranted) else "ended" if said.until <= now else "begins later"
        lines.append(
            CompetenceLine(
                person=str(person),
                competence=word,
                state=state,
                until=text_of_time(said.until) if isinstance(said, CompetenceGranted) else None,
                words=lacking or (said.basis if isinstance(said, CompetenceGranted) else ""),
                by=said.signature.printed_name,
            )
        )
    return lines


def authority_routes(app: FastAPI, node: ControlNode, pens: Pens, *, noting: Noting) -> None:
    """Reading and deciding."""
    _reading(app, node)
    _files_routes(app, node, pens, noting)
    _licence_routes(app, node, pens, noting)
    _competence_routes(app, node, pens, noting)


def _reading(app: FastAPI, node: ControlNode) -> None:
    @app.get("/api/authority", responses=PROBLEMS, dependencies=READER, tags=["authority"], summary="Who may make what where")
    async def page() -> AuthorityPage:
        """Master files, licences with their leases, competences, commitments, and the three-way difference."""
        return authority_page(node)

    @app.get("/api/master-files/{name}/difference", responses=PROBLEMS, dependencies=READER, tags=["authority"], summary="Three-way difference")
    async def difference(name: FileText) -> list[DifferenceLine]:
        """Commitments, master file and executable recipe, as they are now."""
        return difference_lines(node, MasterFileId(name))

    def answer(report: Report, form: str, name: str) -> Response:
        if form == "json":
            return Response(as_json(report), media_type="application/json")
        if form == "text":
            return Response(as_text(report), media_type=TEXT)
        return Response(as_pdf(report), media_type=PDF, headers={"Content-Disposition": f'inline; filename="{name}.pdf"'})

    documents = PROBLEMS | {200: {"description": "the document", "content": {"application/json": {}, "text/plain": {}, PDF: {}}}}

    @app.get(
        "/api/master-files/{name}/annual-report/{law}",
        responses=documents,
        dependencies=READER,
        response_class=Response,
        tags=["authority"],
        summary="Annual report",
    )
    async def yearly(
        name: FileText,
        law: Jurisdiction,
        until: Annotated[str, Query(max_length=40, description="RFC 3339; empty: now")] = "",
        since: Annotated[str, Query(max_length=40, description="RFC 3339; empty: a year before")] = "",
        form: Literal["json", "text", "pdf"] = "json",
    ) -> Response:
        """What changed, what was made and what differs, in the words of one jurisdiction."""
        end = time_of_text(until) if until else node.clock.now().at
        begin = time_of_text(since) if since else max(end, FIRST) - YEAR
        report = annual_report_of(node.state, MasterFileId(name), law=law, since=begin, until=end)
        return answer(report, form, f"{name}-{law}-annual-report")

    @app.get(
        "/api/master-files/{name}/registration/{law}",
        responses=documents,
        dependencies=READER,
        response_class=Response,
        tags=["authority"],
        summary="Registration of sites",
    )
    async def register(name: FileText, law: Jurisdiction, form: Literal["json", "text", "pdf"] = "json") -> Response:
        """The sites and units of one jurisdiction, in its words."""
        return answer(registration_of(node.state, MasterFileId(name), law=law, at=node.clock.now().at), form, f"{name}-{law}-registration")


def _files_routes(app: FastAPI, node: ControlNode, pens: Pens, noting: Noting) -> None:
    @app.post("/api/master-files", status_code=201, responses=PROBLEMS, tags=["authority"], summary="Put a master file forward")
    async def submit(body: RecipeText, guest: Asker) -> dict[str, str]:
        """A valid text; nothing is effective by that. Gives the digest that people sign."""
        with noting(node, guest.person, Act.AUTHOR_MASTER_FILE):
            submitted = submit_master_file(node, guest.person, body.text)
        return {"master_file": str(submitted.master_file), "version": str(submitted.version), "digest": submitted.digest}

    @app.post("/api/master-files/{name}/{version}/signatures", status_code=201, responses=PROBLEMS, tags=["authority"], summary="Sign a master file")
    async def sign(name: FileText, version: Version, body: SignFile, guest: Asker) -> SignatureLine:
        """As its author, or as its approver: two different people."""
        signer = await pens.pen(guest, body, Act(body.act))
        with noting(node, guest.person, body.act):
            approved = approve_master_file(node, guest.person, signer, master_file=MasterFileId(name), version=version, act=Act(body.act))
        return signature_line(approved.signature)

    @app.post(
        "/api/master-files/{name}/{version}/publication", status_code=201, responses=PROBLEMS, tags=["authority"], summary="Publish a master file"
    )
    async def publish(name: FileText, version: Version, guest: Asker) -> list[str]:
        """To the sites that it concerns; gives those that it is new for."""
        with noting(node, guest.person, "publish a master file"):
            return [str(site) for site in publish_master_file(node, guest.person, master_file=MasterFileId(name), version=version)]

    @app.post("/api/commitments", status_code=201, responses=PROBLEMS, tags=["authority"], summary="State marketing commitments")
    async def promised(body: CommitmentsBody, guest: Asker) -> SignatureLine:
        """What a marketing authorisation says, by signature."""
        signer = await pens.pen(guest, body, Act.PUBLISH_COMMITMENTS)
        with noting(node, guest.person, Act.PUBLISH_COMMITMENTS):
            return signature_line(publish_commitments(node, guest.person, signer, body.text).signature)


def _licence_routes(app: FastAPI, node: ControlNode, pens: Pens, noting: Noting) -> None:
    @app.post("/api/licences", status_code=201, responses=PROBLEMS, tags=["authority"], summary="Apply for a licence")
    async def apply(body: Application, guest: Asker) -> SignatureLine:
        """For a site, under a master file that names it."""
        signer = await pens.pen(guest, body, Act.APPLY_LICENCE)
        with noting(node, guest.person, Act.APPLY_LICENCE):
            applied = apply_for_licence(
                node,
                guest.person,
                signer,
                licence=LicenceId(body.licence),
                site=SiteId(body.site),
                master_file=MasterFileId(body.master_file),
                reference=body.reference,
                why=body.why,
            )
        return signature_line(applied.signature)

    @app.post("/api/licences/{licence}/commands", status_code=201, responses=PROBLEMS, tags=["authority"], summary="Command a licence")
    async def command(licence: LicenceText, body: LicenceCommand, guest: Asker) -> SignatureLine:
        """A command that the licence's state takes, by signature, with the reason."""
        act = ACTS[Command(body.command)]
        signer = await pens.pen(guest, body, act)
        with noting(node, guest.person, act):
            changed = change_licence(node, guest.person, signer, licence=LicenceId(licence), command=Command(body.command), why=body.why)
        return signature_line(changed.signature)


def _competence_routes(app: FastAPI, node: ControlNode, pens: Pens, noting: Noting) -> None:
    @app.post("/api/people/{person}/competences", status_code=201, responses=PROBLEMS, tags=["authority"], summary="Grant a competence")
    async def grant(person: PersonText, body: Grant, guest: Asker) -> SignatureLine:
        """To somebody else, until a day."""
        signer = await pens.pen(guest, body, Act.GRANT_COMPETENCE)
        with noting(node, guest.person, Act.GRANT_COMPETENCE):
            granted = grant_competence(
                node,
                guest.person,
                signer,
                person=PersonId(person),
                competence=body.competence,
                until=time_of_text(body.until),
                basis=body.basis,
            )
        return signature_line(granted.signature)

    @app.post(
        "/api/people/{person}/competences/{competence}/withdrawal",
        status_code=201,
        responses=PROBLEMS,
        tags=["authority"],
        summary="Withdraw a competence",
    )
    async def withdraw(person: PersonText, competence: CompetenceText, body: Withdrawal, guest: Asker) -> SignatureLine:
        """With the reason."""
        signer = await pens.pen(guest, body, Act.WITHDRAW_COMPETENCE)
        with noting(node, guest.person, Act.WITHDRAW_COMPETENCE):
            withdrawn = withdraw_competence(node, guest.person, signer, person=PersonId(person), competence=competence, why=body.why)
        return signature_line(withdrawn.signature)
