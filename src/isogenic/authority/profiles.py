"""One set of objects, three laws: what each is called, what it needs, and which clause refuses.

    object           UK (HMR 2012 as amended by SI 2025/87)   US (21 CFR, PHS Act s. 351)          EU (Directive 2001/83/EC)
    master file      MM or POC master file                    BLA, chemistry and manufacturing     marketing authorisation dossier, module 3
    control site     control site                             applicant's quality unit             central site
    site             modular unit's site or POC site          registered establishment             manufacturing site, or decentralised site
    licence          specified in manufacturer's licence      establishment in the licence         named in the manufacturing authorisation
    change classes   notified yearly, notified, approved      annual report, CBE-30, PAS           types IA, IB, II

Guarantees: every check of the gate that has a clause has one in every profile; unknown jurisdictions get all of them.
Of the clauses, regulations 6, 8 and 52 of SI 2025/87 were read as made; every other is cited from knowledge of the text and was
not looked up. This is no legal advice: whoever holds the licence has them checked (docs/authority.md).
In the US there is no rule yet for distributed manufacture: the profile
follows the rules in force, and FDA's discussion paper of October 2022 on distributed and point-of-care manufacturing where it
names the objects. The EU's decentralised sites are of the proposal COM(2023) 192, which is marked as such.
Leaves to others: what is checked (permission), the pages (reports).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isogenic.authority.master_file import ChangeClass, Designation, Jurisdiction, MasterFile

__all__ = ["CLAUSES", "PROFILES", "Profile", "clause", "missing_fields"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How one jurisdiction names things, and what it asks for."""

    jurisdiction: Jurisdiction
    title: str
    authority: str
    terms: Mapping[str, str]  # our word -> theirs
    changes: Mapping[ChangeClass, str]
    needed: Mapping[str, str]  # name in the master file's `references` -> what it is
    annual_report: str
    registration: str
    clauses: Mapping[str, str]  # check -> clause


# check of the gate -> clause, in the order UK, US, EU
CLAUSES: Mapping[str, tuple[str, str, str]] = {
    "check_master_file_is_effective": (
        "HMR 2012 regs 17A(b) and 17B(b), inserted by SI 2025/87 reg. 6",
        "21 CFR 601.2(a), 601.12",
        "Dir. 2001/83/EC Arts 8(3) and 23",
    ),
    "check_master_file_is_signed": ("EU GMP 4.3, HMR 2012 Sch. 4", "21 CFR 211.100(a), 11.70", "EU GMP 4.3"),
    "check_profile_is_complete": (
        "HMR 2012 reg. 22(1A), (1B), by SI 2025/87 reg. 8",
        "21 CFR 207.25, 601.2(a)",
        "Dir. 2001/83/EC Art. 41",
    ),
    "check_site_is_on_file": ("HMR 2012 Sch. 4, as amended by SI 2025/87", "21 CFR 207.17, 601.12(b)", "Dir. 2001/83/EC Art. 42(2)"),
    "check_process_is_on_file": (
        "HMR 2012 regs 17A(b) and 17B(b), inserted by SI 2025/87 reg. 6",
        "21 CFR 211.100(b), 601.12(a)",
        "Dir. 2001/83/EC Art. 23",
    ),
    "check_parameters_are_on_file": (
        "HMR 2012 reg. 22(1A)(b) and (1B)(b), inserted by SI 2025/87 reg. 8",
        "21 CFR 601.12(a), 211.110",
        "Dir. 2001/83/EC Art. 23",
    ),
    "check_unit_is_on_file": ("HMR 2012 Sch. 4, as amended by SI 2025/87", "21 CFR 211.63, 601.12", "Dir. 2001/83/EC Art. 41"),
    "check_unit_is_where_the_file_says": (
        "HMR 2012 Sch. 4, as amended by SI 2025/87",
        "21 CFR 207.25, 211.42",
        "Dir. 2001/83/EC Art. 42(2)",
    ),
    "check_licence_is_active": (
        "HMR 2012 regs 17A(a), 17B(a) and 26",
        "21 CFR 601.2, 601.6",
        "Dir. 2001/83/EC Arts 40(1) and 118",
    ),
    "check_licence_is_signed": ("EU GMP 2.5", "21 CFR 211.22(a), 11.70", "EU GMP 2.5"),
    "check_duties_are_separate": ("EU GMP 2.5", "21 CFR 211.22(a)", "EU GMP 2.5"),
    "check_lease_holds": (
        "HMR 2012 reg. 22(1A)(a) and (1B)(a), inserted by SI 2025/87 reg. 8",
        "21 CFR 211.22(a)",
        "COM(2023) 192 Art. 148 (proposal)",
    ),
}
_ORDER = (Jurisdiction.UK, Jurisdiction.US, Jurisdiction.EU)


def _clauses(jurisdiction: Jurisdiction) -> dict[str, str]:
    return {check: clauses[_ORDER.index(jurisdiction)] for check, clauses in CLAUSES.items()}


PROFILES: Mapping[Jurisdiction, Profile] = {
    Jurisdiction.UK: Profile(
        Jurisdiction.UK,
        "United Kingdom: modular manufacture and point of care (SI 2025/87)",
        "MHRA",
        {
            "master file": "master file (MM or POC)",
            "control site": "control site",
            "site": "site of a modular unit, or POC site",
            "unit": "modular unit",
            "licence": "site specified under the manufacturer's licence (MM) or (POC)",
            "product": "MM or POC medicinal product",
        },
        {
            ChangeClass.MINOR: "change told in the master file's annual report",
            ChangeClass.MODERATE: "change notified to the licensing authority",
            ChangeClass.MAJOR: "change approved by the licensing authority before it is made",
        },
        {
            "uk_marketing_authorisation": "number of the marketing authorisation",
            "uk_designation": "designation as MM or POC",
        },
        "Annual report on the master file",
        "Particulars of the sites and modular units in the master file",
        _clauses(Jurisdiction.UK),
    ),
    Jurisdiction.US: Profile(
        Jurisdiction.US,
        "United States: biologics licence with registered establishments (21 CFR 207, 601)",
        "FDA",
        {
            "master file": "biologics license application, chemistry, manufacturing and controls",
            "control site": "applicant's quality unit, overseeing distributed manufacturing",
            "site": "establishment",
            "unit": "distributed manufacturing unit",
            "licence": "establishment in the biologics license",
            "product": "licensed biological product",
        },
        {
            ChangeClass.MINOR: "change described in the annual report (21 CFR 601.12(d))",
            ChangeClass.MODERATE: "changes being effected in 30 days (21 CFR 601.12(c))",
            ChangeClass.MAJOR: "prior approval supplement (21 CFR 601.12(b))",
        },
        {"us_bla": "number of the biologics license application", "us_labeler": "labeler code or DUNS of the registrant"},
        "Annual report of manufacturing changes (21 CFR 601.12(d))",
        "Establishment registration (21 CFR 207.25)",
        _clauses(Jurisdiction.US),
    ),
    Jurisdiction.EU: Profile(
        Jurisdiction.EU,
        "European Union: manufacturing authorisation and marketing authorisation (Directive 2001/83/EC)",
        "EMA and national competent authorities",
        {
            "master file": "marketing authorisation dossier, module 3, and site master file",
            "control site": "central site (COM(2023) 192), holder of the manufacturing authorisation",
            "site": "manufacturing site; decentralised site (COM(2023) 192)",
            "unit": "premises and equipment",
            "licence": "site named in the manufacturing authorisation",
            "product": "medicinal product",
        },
        {
            ChangeClass.MINOR: "variation of type IA (Regulation (EC) No 1234/2008)",
            ChangeClass.MODERATE: "variation of type IB (Regulation (EC) No 1234/2008)",
            ChangeClass.MAJOR: "variation of type II (Regulation (EC) No 1234/2008)",
        },
        {"eu_marketing_authorisation": "number of the marketing authorisation"},
        "Yearly report of changes and product quality review (EU GMP 1.10)",
        "Register of the sites of the manufacturing authorisation (Art. 41)",
        _clauses(Jurisdiction.EU),
    ),
}


def clause(check: str, jurisdiction: Jurisdiction | None) -> str:
    """The clause that a check enforces; where nobody knows under whose law, all of them."""
    if jurisdiction is not None:
        return PROFILES[jurisdiction].clauses[check]
    return "; ".join(dict.fromkeys(profile.clauses[check] for profile in PROFILES.values()))


def missing_fields(file: MasterFile, jurisdiction: Jurisdiction) -> list[str]:
    """What a jurisdiction asks for and the master file does not say."""
    needed = dict(PROFILES[jurisdiction].needed)
    if file.designation is Designation.CONVENTIONAL:
        needed.pop("uk_designation", None)  # it is of modular manufacture and point of care only
    return [f"{name} ({what})" for name, what in needed.items() if not file.references.get(name)]
