"""Whatever is filed, licensed, leased, granted and taken back, in whatever order: nothing starts unless an oracle of its own allows it.

The site's clock may be set back at any restart. The oracle knows the true time and goes through all that was said, with no code of
the product; the gate knows only what a site holds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

import hypothesis.strategies as st
from house import NOW, keys, person, signer
from hypothesis import HealthCheck, given, settings

from isogenic.authority.competence import CompetenceGranted, Competences, CompetenceWithdrawn, competence_digest, withdrawal_digest
from isogenic.authority.competence import apply as grant
from isogenic.authority.leases import LeaseGranted
from isogenic.authority.licences import ACTS, Command, LicenceApplied, LicenceChanged, State, licence_digest
from isogenic.authority.master_file import MasterFilePublished, file_digest
from isogenic.authority.people import Directory, Role, SiteEntry
from isogenic.authority.permission import Standing, may_be_made
from isogenic.authority.rules import Act
from isogenic.authority.signatures import MEANINGS, sign
from isogenic.checks import stops
from isogenic.clock import Moment
from isogenic.ids import LicenceId, MasterFileId, PersonId, ProductId, RecipeId, SiteId, UnitId
from isogenic.records.facts import Actor, Fact, FactRef
from isogenic.records.times import ClockStepped
from isogenic.sites.permissions import Permissions
from isogenic.units import Quantity

LEEDS, FILE, PRODUCT, RECIPE = SiteId("LEEDS"), MasterFileId("MF-1"), ProductId("MAB-A"), RecipeId("MAB-FB")
UNIT, OLA, WORD = UnitId("BR-50"), PersonId("OLA"), "fed_batch_culture"
ROLES = {"OLA": (Role.OPERATOR,), "RIA": (Role.REGULATORY,), "BEN": (Role.QUALITY,), "QUI": (Role.QUALIFIED_PERSON,)}
PEOPLE = {PersonId(name): person(name, *roles) for name, roles in ROLES.items()}
DIRECTORY = Directory(keys("control"), {LEEDS: SiteEntry(LEEDS, "Leeds", keys("leeds"))}, PEOPLE)
BY = {Command.APPLY: "RIA", Command.ACTIVATE: "QUI"}
PLACES = ("hall 1", "hall 2")


def signed(name: str, act: Act, digest: str, at: datetime):
    someone = PEOPLE[PersonId(name)]
    return sign(signer(name), someone, role=someone.roles[0], meaning=MEANINGS[act], at=at, digest=digest)


def text_of(version: int, *, effective: datetime, low: float, moved: datetime | None, named: bool) -> str:
    locations = f'{{from: 2025-01-01, at: "{PLACES[0]}"}}' + (f', {{from: "{moved.isoformat()}", at: "{PLACES[1]}"}}' if moved else "")
    site = f"""
  {LEEDS if named else "GHENT"}:
    title: Leeds
    address: Leeds
    jurisdiction: uk
    authorisation: MIA 1
    from: 2025-01-01
    units:
      BR-50: {{class: stirred_bioreactor, identity: A50, locations: [{locations}]}}"""
    return f"""isogenic: master-file/1
master_file: MF-1
version: {version}
product: MAB-A
title: A
designation: conventional
effective_from: "{effective.isoformat()}"
change: {{class: minor, why: it changed}}
control_site: {{title: C, address: C, authorisation: C}}
references: {{uk_marketing_authorisation: PL 1}}
process: {{recipe: MAB-FB, versions: ["1"], equipment_class: stirred_bioreactor}}
parameters: {{temperature: {{low: {low} degC, high: 38 degC}}}}
safe_completion: {{on_suspension: hold}}
competences: {{start_batch: [{WORD}]}}
sites:{site}
"""


class Scene:
    """A site and its control site: what was said, the true time, and the site's clock."""

    def __init__(self) -> None:
        self.true, self.behind = NOW, timedelta()
        self.permission, self.competences = Permissions(), Competences()
        self.said: list[object] = []  # by the control site, in order: the oracle reads this
        self.place, self.counts = PLACES[0], {"CONTROL": 0, "LEEDS": 0}

    @property
    def wall(self) -> datetime:
        return self.true - self.behind

    def note(self, payload: object, *, control: bool) -> None:
        ledger, at = ("net/CONTROL/LEEDS", self.true) if control else ("net/LEEDS/HOUSE", self.wall)
        fact = Fact(FactRef(ledger, 0), "kind", 1, "x", Actor("A"), Moment(at), payload)
        self.permission = self.permission.after(fact)
        if control:
            self.competences = grant(self.competences, payload)
            self.said.append((payload, self.true))

    # ---- what may happen ----

    def wait(self, hours: float) -> None:
        self.true += timedelta(hours=hours)
        self.note(object(), control=False)  # a running node notes something every hour

    def set_back(self, hours: float) -> None:
        """A restart with a clock that was set back: known from the newest fact."""
        self.note(object(), control=False)
        self.behind += timedelta(hours=hours)
        if hours:
            self.note(ClockStepped("LEEDS", -hours * 3600, "while it was down"), control=False)

    def file(self, *, in_hours: float, low: float, moved_in: float | None, named: bool, good: bool) -> None:
        version = 1 + sum(isinstance(each, MasterFilePublished) for each, _ in self.said)
        moved = self.true + timedelta(hours=moved_in) if moved_in is not None else None
        text = text_of(version, effective=self.true + timedelta(hours=in_hours), low=low, moved=moved, named=named)
        digest = file_digest(text)
        approver = signed("BEN", Act.APPROVE_MASTER_FILE, digest if good else sha256(b"other").hexdigest(), self.true)
        approvals = (signed("RIA", Act.AUTHOR_MASTER_FILE, digest, self.true), approver)
        self.note(MasterFilePublished(FILE, version, PRODUCT, digest, text, approvals, LEEDS), control=True)

    def apply(self, name: str) -> None:
        licence = LicenceId(f"LIC-{name}")
        digest = licence_digest(licence, Command.APPLY, site=LEEDS, number=0, why="ready", about="MF-1 MAB-A REF")
        self.note(LicenceApplied(licence, LEEDS, FILE, PRODUCT, "REF", "ready", signed("RIA", Act.APPLY_LICENCE, digest, self.true)), control=True)

    def command(self, name: str, command: Command, to: State, by: str) -> None:
        licence = LicenceId(f"LIC-{name}")
        known = self.permission.licences.get(licence)
        number = 1 + len(known.changes) if known else 1
        digest = licence_digest(licence, command, site=LEEDS, number=number, why="so")
        self.note(LicenceChanged(licence, LEEDS, command, to, number, "so", signed(by, ACTS[command], digest, self.true)), control=True)

    def lease(self, name: str, hours: float) -> None:
        known = self.permission.leases.get(LicenceId(f"LIC-{name}"))
        number = known.number + 1 if known else 1
        self.note(LeaseGranted(LicenceId(f"LIC-{name}"), LEEDS, number, self.true, self.true + timedelta(hours=hours)), control=True)

    def train(self, hours: float, by: str) -> None:
        until = self.true + timedelta(hours=hours)
        digest = competence_digest(OLA, WORD, since=self.true, until=until, basis="TR")
        self.note(CompetenceGranted(OLA, WORD, self.true, until, "TR", signed(by, Act.GRANT_COMPETENCE, digest, self.true)), control=True)

    def untrain(self) -> None:
        digest = withdrawal_digest(OLA, WORD, why="no")
        self.note(CompetenceWithdrawn(OLA, WORD, "no", signed("BEN", Act.WITHDRAW_COMPETENCE, digest, self.true)), control=True)

    def starts(self, version: int, degrees: float) -> bool:
        standing = Standing(
            site=LEEDS,
            recipe=RECIPE,
            version=version,
            unit=UNIT,
            unit_class="stirred_bioreactor",
            unit_location=self.place,
            parameters={"temperature": Quantity(degrees, "degC")},
            published=tuple(self.permission.files.values()),
            licences=self.permission.licences,
            leases=self.permission.leases,
            competences=self.competences,
            directory=DIRECTORY,
            time=self.permission.span(Moment(self.wall)),
        )
        return not stops(may_be_made(standing, person=OLA))

    # ---- the oracle: the true time, and all that was said, gone through by hand ----

    def allowed(self, version: int, degrees: float) -> bool:
        text = self._file_in_force()
        return version == 1 and text is not None and self._file_allows(text, degrees) and self._licensed() and self._trained()

    def _file_in_force(self) -> MasterFilePublished | None:
        found = None
        for each, _ in self.said:
            if isinstance(each, MasterFilePublished):
                line = next(line for line in each.text.splitlines() if line.startswith("effective_from: "))
                if datetime.fromisoformat(line.split('"')[1]) <= self.true:
                    found = each
        return found

    def _file_allows(self, file: MasterFilePublished, degrees: float) -> bool:
        low = float(file.text.split("temperature: {low: ")[1].split(" ")[0])
        place = PLACES[0]
        if file.text.count("from: ") > 3 and f'at: "{PLACES[1]}"' in file.text:
            moved = datetime.fromisoformat(file.text.split(', {from: "')[1].split('"')[0])
            place = PLACES[1] if moved <= self.true else PLACES[0]
        honest = all(each.digest == file.digest for each in file.approvals)
        return honest and "\n  LEEDS:" in file.text and low <= degrees <= 38 and self.place == place

    def _licensed(self) -> bool:
        """Some licence that is active, by commands that hold together and were signed by who may, with a lease that truly lasts."""
        state: dict[str, str] = {}
        number: dict[str, int] = {}
        clean: dict[str, bool] = {}
        leases: dict[str, datetime] = {}
        table = {
            ("onboarding", "qualify"): "qualified", ("qualified", "activate"): "active", ("active", "pause"): "paused",
            ("paused", "resume"): "active", ("suspended", "reinstate"): "qualified",
        }  # fmt: skip
        who = {
            "qualify": ("BEN", "QUI"), "activate": ("QUI",), "pause": ("BEN", "QUI", "RIA"), "resume": ("BEN", "QUI"),
            "suspend": ("BEN", "QUI", "RIA"), "reinstate": ("BEN", "QUI"), "cease": ("QUI", "RIA"),
        }  # fmt: skip
        for each, _ in self.said:
            name = str(getattr(each, "licence", ""))
            if isinstance(each, LicenceApplied) and name not in state:
                state[name], number[name], clean[name] = "onboarding", 0, True
            elif isinstance(each, LicenceChanged) and name in state:
                command = str(each.command)
                to = table.get((state[name], command))
                if command == "suspend" and state[name] in ("qualified", "active", "paused"):
                    to = "suspended"
                if command == "cease" and state[name] != "ceased":
                    to = "ceased"
                if to == str(each.state) and each.number == number[name] + 1:
                    state[name], number[name] = to, each.number
                    clean[name] = clean[name] and str(each.signature.person) in who[command]
            elif isinstance(each, LeaseGranted):
                leases[name] = each.until
        return any(state[name] == "active" and clean[name] and name in leases and self.true < leases[name] for name in state)

    def _trained(self) -> bool:
        last = [each for each, _ in self.said if isinstance(each, CompetenceGranted | CompetenceWithdrawn)][-1:]
        return all(isinstance(each, CompetenceGranted) and self.true < each.until and str(each.signature.person) != "OLA" for each in last) and bool(
            last
        )


HOURS = st.sampled_from([0.0, 1.0, 24.0, 100.0, 200.0])
NAMES = st.sampled_from(["A", "A", "A", "B"])
ROUTE = [
    ("file", {"in_hours": 0.0, "low": 36.0, "moved_in": None, "named": True, "good": True}),
    ("apply", {"name": "A"}),
    ("command", {"name": "A", "command": Command.QUALIFY, "to": State.QUALIFIED, "by": "BEN"}),
    ("command", {"name": "A", "command": Command.ACTIVATE, "to": State.ACTIVE, "by": "QUI"}),
    ("lease", {"name": "A", "hours": 168.0}),
    ("train", {"hours": 500.0, "by": "BEN"}),
]
ACTIONS = st.one_of(
    st.tuples(st.just("wait"), st.fixed_dictionaries({"hours": HOURS})),
    st.tuples(st.just("set_back"), st.fixed_dictionaries({"hours": HOURS})),
    st.tuples(
        st.just("file"),
        st.fixed_dictionaries(
            {
                "in_hours": HOURS, "low": st.sampled_from([36.0, 37.2]), "moved_in": st.none() | HOURS,
                "named": st.sampled_from([True, True, False]), "good": st.sampled_from([True, True, False]),
            }
        ),
    ),
    st.tuples(st.just("apply"), st.fixed_dictionaries({"name": NAMES})),
    st.tuples(
        st.just("command"),
        st.fixed_dictionaries(
            {
                "name": NAMES, "command": st.sampled_from([each for each in Command if each is not Command.APPLY]), "to": st.sampled_from(State),
                "by": st.sampled_from(["RIA", "BEN", "QUI"]),
            }
        ).filter(lambda said: PEOPLE[PersonId(said["by"])].roles[0] is not Role.OPERATOR),
    ),
    st.tuples(st.just("lease"), st.fixed_dictionaries({"name": NAMES, "hours": st.sampled_from([1.0, 168.0])})),
    st.tuples(st.just("train"), st.fixed_dictionaries({"hours": st.sampled_from([1.0, 500.0]), "by": st.just("BEN")})),
    st.tuples(st.just("untrain"), st.just({})),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=st.integers(0, len(ROUTE)), actions=st.lists(ACTIONS, max_size=10), version=st.sampled_from([1, 1, 1, 2]), moved=st.booleans())
def test_nothing_starts_unless_the_oracle_allows_it(before, actions, version, moved):
    scene = Scene()
    scene.place = PLACES[1] if moved else PLACES[0]
    for name, said in [*ROUTE[:before], *actions, *ROUTE[before:]]:
        getattr(scene, name)(**said)
        for degrees in (36.5, 37.5):
            if scene.starts(version, degrees):
                assert scene.allowed(version, degrees), (name, said, scene.true, scene.wall)
            elif not scene.behind and len(scene.permission.licences) < 2:  # with a clock that is right, nothing that is allowed is refused
                assert not scene.allowed(version, degrees), (name, said, scene.true)


def test_the_whole_way_ends_in_a_start():
    scene = Scene()
    for name, said in ROUTE:
        assert not scene.starts(1, 37.0)
        getattr(scene, name)(**said)
    assert scene.starts(1, 37.0)
    scene.wait(167.9)
    assert scene.starts(1, 37.0)
    scene.set_back(100.0)
    scene.wait(0.2)
    assert not scene.starts(1, 37.0)
