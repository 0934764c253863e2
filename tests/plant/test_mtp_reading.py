"""Reading module type packages: a real one, both dialects, and whatever else comes as bytes."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtp_setup import hc10, old_dialect

from isogenic.errors import NotValid
from isogenic.plant.mtp.archive import packed
from isogenic.plant.mtp.model import Access, Dialect, Item, Kind
from isogenic.plant.mtp.reading import read_manifest


def refused(data: bytes) -> str:
    with pytest.raises(NotValid) as refusal:
        read_manifest(data, name="x.mtp")
    return str(refusal.value)


def test_a_real_manifest_of_the_newer_dialect_is_read_whole():
    manifest = read_manifest(hc10(), name="HC10.aml")
    assert (len(manifest.services), manifest.procedures, len(manifest.assemblies), manifest.bound_items) == (5, 23, 74, 1275)
    assert (manifest.dialect, manifest.notes) == (Dialect.V1_1, ())
    dosing = manifest.service("HC10_Dosing")
    procedure = dosing.procedure("HC10_Dosing_Volume_Y22")
    assert (procedure.number, procedure.self_completing) == (6, True)
    assert [(each.name, each.assembly.unit) for each in procedure.of(Kind.PARAMETER)] == [
        ("HC10_Duration_Dosing", None),
        ("HC10_Target_Volume_Dosing", "mL"),
    ]
    assert all(element.assembly for _, _, element in manifest.elements())
    assert manifest.item("HC10_Dosing.StateCur") == Item(
        "urn:BeckhoffAutomation:Ua:PLC1", dosing.control.items["StateCur"].identifier, "s", Access.READ
    )


@pytest.mark.parametrize("drafts", [False, True])
def test_the_older_dialect_is_read_with_the_class_paths_of_its_drafts(drafts):
    manifest = read_manifest(old_dialect(drafts=drafts), name="old.aml")
    assert (manifest.name, manifest.version, manifest.dialect, manifest.endpoint) == ("Doser", "2.1.0", Dialect.V1_0, "opc.tcp://doser:4840")
    [service] = manifest.services
    [procedure] = service.procedures
    assert (service.name, procedure.name, procedure.number, procedure.self_completing, procedure.default) == ("Dose", "ByVolume", 3, True, True)
    assert service.control.items == {"StateCur": Item("urn:maker", "Dose.StateCur"), "CommandExt": Item("urn:maker", "Dose.CommandExt")}
    [amount] = procedure.of(Kind.PARAMETER)
    assert (amount.assembly.cls, amount.assembly.unit, amount.assembly.ref) == ("AnaServParam", "L", "ref2")
    assert manifest.notes == ("Dose.CommandEn is linked to nothing", "report value Dose/ByVolume/Dosed is linked to no data assembly")


def test_a_package_holds_the_manifest_that_was_packed():
    bare, whole = read_manifest(old_dialect(), name="a"), read_manifest(packed(old_dialect()), name="b")
    assert bare == whole
    assert packed(old_dialect()) == packed(old_dialect())


def test_the_text_may_be_utf16_with_its_mark():
    text = old_dialect().decode().replace('encoding="utf-8"', 'encoding="utf-16"')
    assert read_manifest(text.encode("utf-16"), name="a").services == read_manifest(old_dialect(), name="a").services


# ---- tricks ----


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("name", ["../manifest.aml", "/etc/manifest.aml", "a/../../manifest.aml", "C:manifest.aml", "..\\manifest.aml", "a\nb.aml"])
def test_a_package_with_a_name_that_leads_outside_is_refused_as_a_whole(name):
    assert "in its archive" in refused(archive(("manifest.aml", old_dialect()), (name, b"x")))


def test_a_package_with_a_link_is_refused():
    link = zipfile.ZipInfo("picture.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "is a link" in refused(archive(("manifest.aml", old_dialect()), (link, b"/etc/passwd")))


def test_a_package_with_two_manifests_or_none_is_refused():
    assert "2 manifests" in refused(archive(("a/manifest.aml", old_dialect()), ("b/manifest.aml", old_dialect())))
    assert "no .aml" in refused(archive(("picture.png", b"x")))


def test_a_package_that_unpacks_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("isogenic.plant.mtp.archive.MANIFEST_MAX", 100_000)
    bomb = archive(("manifest.aml", b"<x>" + b" " * 200_000))
    assert "unpacks to" in refused(bomb)
    said, true = struct.pack("<I", 200_003), struct.pack("<I", 60_000)
    assert "damaged" in refused(bomb.replace(said, true))  # a table of contents that lies about its size


def test_a_package_with_too_many_files_is_refused(monkeypatch):
    monkeypatch.setattr("isogenic.plant.mtp.archive.ENTRIES_MAX", 3)
    assert "holds 4 files" in refused(archive(*((f"{at}.png", b"") for at in range(4))))


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">%s]><CAEXFile><Attribute Name="&z;"/></CAEXFile>""" % b"".join(
    b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;">' % ((at,) + (at - 1,) * 10) for at in range(ord("b"), ord("z") + 1)
)


@pytest.mark.parametrize(
    "data",
    [
        BOMB,
        BOMB.decode().encode("utf-16"),
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><CAEXFile>&e;</CAEXFile>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><CAEXFile/>',
    ],
    ids=["billion laughs", "the same in UTF-16", "a file of the machine", "a document type elsewhere"],
)
def test_a_manifest_that_declares_entities_is_refused_before_a_parser_sees_it(data):
    assert "document type or an entity" in refused(data)


def test_a_document_type_cannot_hide_behind_an_encoding():
    assert "its encoding is UTF-7" in refused(b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x+AD4-<CAEXFile/>')
    assert "signs that no text has" in refused("<!DOCTYPE x><CAEXFile/>".encode("utf-32-le"))


def test_a_manifest_without_end_is_refused(monkeypatch):
    assert "not well-formed" in refused(b"<CAEXFile>" + b"<a>" * 100_000)
    monkeypatch.setattr("isogenic.plant.mtp.reading.ELEMENTS_MAX", 50)
    assert "more than 50 elements" in refused(b"<CAEXFile>" + b"<a/>" * 60 + b"</CAEXFile>")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not well-formed"),
        (b"<html/>", "no AutomationML"),
        (b"<CAEXFile/>", "no module type"),
        (old_dialect().replace(b"MTPSUCLib/CommunicationSet", b"x"), "no CommunicationSet"),
        (b"PK\x03\x04 and no more", "damaged"),
    ],
)
def test_what_is_no_manifest_is_refused_in_words(data, why):
    assert why in refused(data)


# ---- whatever comes ----


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"<CAEXFile>", b"\xff\xfe", b"<?xml version='1.0' encoding='"]))
def test_any_bytes_are_read_or_refused(data, begin):
    with pytest.raises(NotValid):
        read_manifest(begin + data, name="x")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4), st.integers(0, 60)), min_size=1, max_size=4), st.booleans())
def test_a_manifest_with_anything_changed_is_read_or_refused(changes, zipped):
    data = packed(old_dialect()) if zipped else old_dialect()
    for at, put, cut in changes:
        at %= len(data)
        data = data[:at] + put + data[at + cut :]
    try:
        manifest = read_manifest(data, name="x")
    except NotValid:
        return
    assert manifest.bound_items <= 3
    assert zlib.crc32(repr(manifest).encode()) >= 0  # whatever it holds can be shown
