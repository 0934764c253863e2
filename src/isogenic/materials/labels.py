"""Labels: what a scanner read, and what our own labels say.

Three forms are read, and nothing else is guessed to be one of them:

    GS1         element strings of the GS1 General Specifications, section 3, as a scanner sends them
                (`]d2` or the like, or a leading FNC1, each FNC1 as the control character GS) or as people read them:
                `(01)09506000134352(10)LOT7(17)261231(21)0042`
    ISBT 128    a donation identification number, data structure 001: `=` and fifteen characters as a scanner sends them, or
                thirteen characters and the check character as people read them: `G1234 98 654321 H`
    isogenic    our own: `ISOGENIC:KIND:ID:L=LOT:E=EXPIRY:C`, capitals, digits and a few signs, so that a small code holds it

Every form has a check of its own: a GTIN its check digit, a donation number and our own form the check character of
ISO/IEC 7064 MOD 37-2. What a scanner sent without FNC1 is refused: a lot number that ran into the expiry after it would be
read as another lot.

Guarantees: pure, bounded; any text gives a `Label` or one `NotValid`; each statement of a label names where on it it stands
(`parts`); what `label_text` writes, `read_label` reads back equal.
Leaves to others: whether the thing is known, good and meant (scans, assemblies, lots), pictures and pages (label_pages).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from isogenic.errors import NotValid
from isogenic.ids import BatchId, IdentityCode, LotId, SampleId, UnitId

__all__ = [
    "LABEL_MAX",
    "Expects",
    "Label",
    "LabelForm",
    "LabelKind",
    "Part",
    "check_character",
    "donation_number",
    "fits",
    "gtin_check_digit",
    "label_text",
    "read_label",
]

LABEL_MAX = 400  # characters; a full GS1 DataMatrix of a supplier has about 100
VALUE_MAX = 40
GS = "\x1d"  # how a scanner sends FNC1 between elements (GS1 General Specifications, 7.8.3)
SHOWN_GS = "␝"  # the same, where a keyboard or a page cannot carry a control character
SYMBOLOGIES = ("]C1", "]e0", "]d2", "]Q3", "]J1")  # ISO/IEC 15424: GS1-128, GS1 DataBar, DataMatrix, QR, DotCode
NEAR_YEAR = 2026  # two digits of a year are read as the year nearest to it (GS1 General Specifications, 7.12)
CENTURY_AHEAD, CENTURY_BEHIND = 50, 49
CHECK_SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"


class LabelForm(StrEnum):
    """Whose form a label has."""

    GS1 = "gs1"
    ISBT_128 = "isbt128"
    ISOGENIC = "isogenic"


class LabelKind(StrEnum):
    """What a label is on."""

    MATERIAL = "material"  # a lot of something; its id is the lot number
    ASSEMBLY = "assembly"  # one piece with a serial number; its id is that number
    CONTAINER = "container"  # one vial or bag of a lot; its id is its serial number
    SAMPLE = "sample"
    PATIENT = "patient"
    LINE = "line"  # a unit
    BATCH = "batch"
    LOT = "lot"
    DONATION = "donation"  # what a donor gave, by its donation identification number


class Expects(StrEnum):
    """What a prompt asks to be scanned."""

    MATERIAL = "material"
    ASSEMBLY = "assembly"
    SAMPLE = "sample"
    PATIENT = "patient"
    LINE = "line"

    def takes(self, kind: LabelKind) -> bool:
        """Whether a label of this kind can be the answer."""
        return kind in _TAKES[self]


_TAKES = {
    # A supplier numbers every bag: a piece with a serial number is a material, too.
    Expects.MATERIAL: (LabelKind.MATERIAL, LabelKind.ASSEMBLY, LabelKind.LOT, LabelKind.CONTAINER, LabelKind.DONATION),
    Expects.ASSEMBLY: (LabelKind.ASSEMBLY,),
    Expects.SAMPLE: (LabelKind.SAMPLE,),
    Expects.PATIENT: (LabelKind.PATIENT, LabelKind.DONATION),
    Expects.LINE: (LabelKind.LINE,),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One statement of a label, and where on it it stands."""

    name: str
    value: str
    source: str  # for example GS1 (10)


@dataclass(frozen=True, slots=True)
class Label:
    """What a label says. Empty texts: it does not say."""

    form: LabelForm
    kind: LabelKind
    id: str
    item: str = ""  # the part or material: a GTIN, or the number it goes by here
    lot: str = ""
    serial: str = ""
    expires: datetime | None = None  # the first moment at which it is no longer good
    patient: IdentityCode | None = None
    batch: BatchId | None = None
    parts: tuple[Part, ...] = ()

    @property
    def words(self) -> str:
        """As people read it, on one line; never a patient's name, because none is on it."""
        said = [f"{self.kind} {self.id}"]
        said += [f"item {self.item}"] if self.item and self.item != self.id else []
        said += [f"lot {self.lot}"] if self.lot and self.lot != self.id else []
        said += [f"expires {self.expires:%Y-%m-%d %H:%M} UTC"] if self.expires else []
        return ", ".join(said)


def read_label(text: str, *, near_year: int = NEAR_YEAR) -> Label:
    """What a scanned or typed text says, or `NotValid`."""
    if not isinstance(text, str) or len(text) > LABEL_MAX:
        raise _refused("", f"a label has at most {LABEL_MAX} characters")
    read = text.strip(" \t\r\n").replace(SHOWN_GS, GS)
    if not read:
        raise _refused(text, "nothing was scanned")
    if any(each != GS and not 32 <= ord(each) < 127 for each in read):
        raise _refused(text, "it has characters that no label has")
    if read.startswith("ISOGENIC:"):
        return _isogenic(read)
    if read.startswith(("(", GS, *SYMBOLOGIES)):
        return _gs1(read, near_year)
    found = _donation(read)
    if found is None:
        hint = "the scanner must send the symbology identifier and FNC1" if read[:2] in ("01", "10", "17", "21") and read[:6].isdigit() else ""
        raise _refused(text, hint or "it is neither a GS1 element string, nor a donation number, nor a label of ours")
    return found


def _refused(text: str, why: str) -> NotValid:
    # What was scanned is repeated only where it cannot be a name: capitals, digits and signs of a label.
    said = text[:VALUE_MAX] if text and re.fullmatch(r"[0-9A-Z()\[\]=*:./-]+", text[:VALUE_MAX]) else "this label"
    return NotValid(f"cannot read {said}", why=why, possible="scan it again, or type the line below the code")


# ---- ISO/IEC 7064 MOD 37-2 ----------------------------------------------------------------------------


def check_character(body: str) -> str:
    """The check character of ISO/IEC 7064 MOD 37-2 over digits and capitals: it changes with any one character, and with any two swapped."""
    total = 0
    for each in body:
        at = CHECK_SIGNS.find(each)
        if not 0 <= at < 36:
            raise NotValid(f"cannot check {body[:VALUE_MAX]!r}", why="only digits and capital letters have a check value")
        total = (total + at) * 2 % 37
    return CHECK_SIGNS[(38 - total) % 37]


# ---- GS1 ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Element:
    name: str
    length: int
    fixed: bool = False
    digits: bool = False


_ELEMENTS = {  # GS1 General Specifications, 3.2; those that a supplier of single-use parts and materials prints
    "00": _Element("sscc", 18, fixed=True, digits=True),
    "01": _Element("gtin", 14, fixed=True, digits=True),
    "02": _Element("content", 14, fixed=True, digits=True),
    "10": _Element("lot", 20),
    "11": _Element("produced", 6, fixed=True, digits=True),
    "13": _Element("packed", 6, fixed=True, digits=True),
    "15": _Element("best_before", 6, fixed=True, digits=True),
    "17": _Element("expiry", 6, fixed=True, digits=True),
    "20": _Element("variant", 2, fixed=True, digits=True),
    "21": _Element("serial", 20),
    "22": _Element("consumer_variant", 20),
    "30": _Element("count", 8, digits=True),
    "37": _Element("units", 8, digits=True),
    "240": _Element("maker_number", 30),
    "241": _Element("customer_number", 30),
    "250": _Element("second_serial", 30),
    "400": _Element("order", 30),
    "414": _Element("location", 13, fixed=True, digits=True),
    "7003": _Element("expiry_time", 10, fixed=True, digits=True),
    "8008": _Element("produced_time", 12, digits=True),
}
_SET_82 = re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]+")  # GS1 AI encodable character set 82, table 7.11-1
_BRACKETS = re.compile(r"\((\d{2,4})\)([^()]+)")


def gtin_check_digit(body: str) -> str:
    """The last digit of a GTIN, SSCC or location number (GS1 General Specifications, 7.9)."""
    total = sum(int(each) * (3 if at % 2 == 0 else 1) for at, each in enumerate(reversed(body)))
    return str(-total % 10)


def _gs1(read: str, near_year: int) -> Label:
    elements = _elements_in_brackets(read) if read.startswith("(") else _elements_of_scanner(read)
    said: dict[str, str] = {}
    for ai, value in elements:
        known = _ELEMENTS.get(ai)
        if known is None:
            raise _refused(read, f"the application identifier ({ai}) is not one that is read here: {', '.join(sorted(_ELEMENTS))}")
        good = value.isascii() and value.isdigit() if known.digits else _SET_82.fullmatch(value)
        if not good or not (len(value) == known.length if known.fixed else len(value) <= known.length):
            raise _refused(
                read, f"what follows ({ai}) is not {'' if known.fixed else 'at most '}{known.length} {'digits' if known.digits else 'signs'}"
            )
        if ai in said and said[ai] != value:
            raise _refused(read, f"({ai}) stands on it twice, with two values")
        said[ai] = value
    gtin = said.get("01") or said.get("02", "")
    for ai in ("00", "01", "02", "414"):
        if ai in said and gtin_check_digit(said[ai][:-1]) != said[ai][-1]:
            raise _refused(read, f"the check digit of ({ai}) is wrong")
    if not gtin:
        raise _refused(read, "it names no trade item: there is no (01) on it")
    lot, serial = said.get("10", ""), said.get("21", "")
    if not lot and not serial:
        raise _refused(read, "it names an item, but no lot (10) and no serial number (21)")
    expires = _expiry(said, near_year, read)
    parts = tuple(Part(_ELEMENTS[ai].name, value, f"GS1 ({ai})") for ai, value in said.items())
    kind = LabelKind.ASSEMBLY if serial else LabelKind.MATERIAL
    return Label(LabelForm.GS1, kind, serial or lot, item=gtin, lot=lot, serial=serial, expires=expires, parts=parts)


def _elements_in_brackets(read: str) -> list[tuple[str, str]]:
    found = [(each[1], each[2].strip()) for each in _BRACKETS.finditer(read)]
    if "".join(f"({ai}){value}" for ai, value in found).replace(" ", "") != read.replace(" ", ""):
        raise _refused(read, "it is not application identifiers in brackets, each with its value")
    return found


def _elements_of_scanner(read: str) -> list[tuple[str, str]]:
    """Elements one after the other; where a length is not fixed in advance, FNC1 ends it."""
    rest = read[3:] if read.startswith("]") else read
    found: list[tuple[str, str]] = []
    at = 1 if rest.startswith(GS) else 0
    while at < len(rest):
        ai = next((rest[at : at + length] for length in (2, 3, 4) if rest[at : at + length] in _ELEMENTS), None)
        if ai is None:
            raise _refused(read, f"it is another kind of code: ({rest[at : at + 2]}…) is none of the GS1 elements that are read here")
        at += len(ai)
        known = _ELEMENTS[ai]
        end = at + known.length if known.fixed else rest.find(GS, at)
        end = len(rest) if end == -1 else end
        found.append((ai, rest[at:end]))
        at = end + 1 if rest[end : end + 1] == GS else end
    return found


def _expiry(said: dict[str, str], near_year: int, read: str) -> datetime | None:
    """The first moment at which it is not good any more: a date is good until its day is over, UTC."""
    if "7003" in said:
        text = said["7003"]
        try:
            return _day(text[:6], near_year, read) + timedelta(hours=int(text[6:8]), minutes=_minutes(text, read)) - timedelta(days=1)
        except OverflowError as trouble:
            raise _refused(read, "its expiry is no moment of time") from trouble
    days = [_day(said[ai], near_year, read) for ai in ("15", "17") if ai in said]  # best before, expiry: the earlier
    return min(days, default=None)


def _minutes(text: str, read: str) -> int:
    if int(text[6:8]) > 23 or int(text[8:]) > 59:
        raise _refused(read, "its expiry is no time of day")
    return int(text[8:])


def _day(text: str, near_year: int, read: str) -> datetime:
    """Midnight after a day YYMMDD; day 00 is the last of the month (GS1 General Specifications, 3.4.7)."""
    year, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
    year += near_year - near_year % 100
    if year - near_year > CENTURY_AHEAD:
        year -= 100
    elif near_year - year > CENTURY_BEHIND:
        year += 100
    if not 1 <= month <= 12 or day > calendar.monthrange(year, month)[1]:
        raise _refused(read, f"{text} is no day")
    return datetime(year, month, day or calendar.monthrange(year, month)[1], tzinfo=UTC) + timedelta(days=1)


# ---- ISBT 128 -------------------------------------------------------------------------------------------

# Facility of five (the first no O), year of two digits, serial of six (ISBT 128 Standard Technical Specification, 2.1)
_DONATION = re.compile(r"[A-NP-Z1-9][0-9A-Z]{4}[0-9]{2}[0-9]{6}")
_CHECK_FLAGS = range(60, 97)  # flag characters of type 3: 60 and the check value


def donation_number(body: str) -> str:
    """A donation identification number as people read it, with its check character."""
    return f"{body[:5]} {body[5:7]} {body[7:]} {check_character(body)}"


def _donation(read: str) -> Label | None:
    """A donation identification number, or None where it does not look like one."""
    if read.startswith("="):
        body, flags = read[1:14], read[14:]
        if not _DONATION.fullmatch(body) or not re.fullmatch(r"[0-9A-Z]{2}", flags):
            raise _refused(read, "it is not a donation identification number of thirteen characters and two flags")
        if flags.isdigit() and int(flags) in _CHECK_FLAGS and CHECK_SIGNS[int(flags) - 60] != check_character(body):
            raise _refused(read, "its flags do not fit its check character")
    else:
        packed = read.replace(" ", "")
        body, flags = packed[:13], ""
        if len(packed) != 14 or not _DONATION.fullmatch(body):
            return None
        if packed[13] != check_character(body):
            raise _refused(read, "it is mistyped: its characters do not fit its check character")
    parts = [
        Part("facility", body[:5], "ISBT 128 001 1-5"),
        Part("year", body[5:7], "ISBT 128 001 6-7"),
        Part("serial", body[7:], "ISBT 128 001 8-13"),
    ]
    parts += [Part("flags", flags, "ISBT 128 001 14-15")] if flags else []
    return Label(LabelForm.ISBT_128, LabelKind.DONATION, body, parts=tuple(parts))


# ---- our own --------------------------------------------------------------------------------------------

_VALUE = re.compile(r"[0-9A-Z $%*+\-./]{1,40}")  # the alphanumeric signs of a QR code (ISO/IEC 18004, 7.3.4), without the colon that parts them
_FIELDS = {"M": "item", "L": "lot", "E": "expires", "P": "patient", "B": "batch"}
_IDS = {
    LabelKind.SAMPLE: SampleId,
    LabelKind.PATIENT: IdentityCode,
    LabelKind.LINE: UnitId,
    LabelKind.BATCH: BatchId,
    LabelKind.LOT: LotId,
}
_DATE, _TIME = "%Y%m%d", "%Y%m%dT%H%M"


def label_text(
    kind: LabelKind,
    named: str,
    *,
    item: str = "",
    lot: str = "",
    expires: datetime | None = None,
    patient: IdentityCode | None = None,
    batch: BatchId | None = None,
) -> str:
    """The text of a label of ours, as its code holds it. Expiry to the minute."""
    fields = [f"M={item}"] if item else []
    fields += [f"L={lot}"] if lot else []
    fields += [f"E={expires.astimezone(UTC).strftime(_TIME)}"] if expires is not None else []
    fields += [f"P={patient}"] if patient is not None else []
    fields += [f"B={batch}"] if batch is not None else []
    body = ":".join(["ISOGENIC", kind.upper(), named, *fields])
    text = f"{body}:{_check_of(body)}"
    read_label(text)  # what cannot be read back is not printed
    return text


def fits(text: str) -> bool:
    """Whether a label of ours can carry a text: capitals, digits and a few signs."""
    return bool(_VALUE.fullmatch(text))


def _check_of(body: str) -> str:
    return check_character(re.sub(r"[^0-9A-Z]", "", body))


def _isogenic(read: str) -> Label:
    body, _, check = read.rpartition(":")
    if not re.fullmatch(r"[0-9A-Z $%*+\-./:=]+", read) or check != _check_of(body):
        raise _refused(read, "its signs do not fit its check character")
    _, kind_text, *rest = body.split(":")
    if kind_text not in LabelKind.__members__ or not rest or not _VALUE.fullmatch(rest[0]):
        raise _refused(read, f"a label of ours says what it is on, and its id: {', '.join(LabelKind)}")
    kind, said = LabelKind(kind_text.lower()), dict.fromkeys(_FIELDS.values(), "")
    parts = [Part("id", rest[0], "ISOGENIC")]
    for each in rest[1:]:
        key, _, value = each.partition("=")
        name = _FIELDS.get(key)
        if name is None or said[name] or not _VALUE.fullmatch(value):
            raise _refused(read, f"{key[:4]} is not one of its fields, each once: {', '.join(_FIELDS)}")
        said[name] = value
        parts.append(Part(name, value, f"ISOGENIC {key}"))
    id_text = rest[0]
    if kind in _IDS:
        _IDS[kind](id_text)
    patient = IdentityCode(said["patient"]) if said["patient"] else IdentityCode(id_text) if kind is LabelKind.PATIENT else None
    return Label(
        LabelForm.ISOGENIC,
        kind,
        id_text,
        item=said["item"],
        lot=said["lot"] or (id_text if kind in (LabelKind.MATERIAL, LabelKind.LOT) else ""),
        serial=id_text if kind in (LabelKind.ASSEMBLY, LabelKind.CONTAINER) else "",
        expires=_own_expiry(said["expires"], read),
        patient=patient,
        batch=BatchId(said["batch"]) if said["batch"] else None,
        parts=tuple(parts),
    )


def _own_expiry(text: str, read: str) -> datetime | None:
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{8}T\d{4}", text):
            return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
        if re.fullmatch(r"\d{8}", text):
            return datetime.strptime(text, _DATE).replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        pass
    raise _refused(read, f"{text} is no expiry")
