"""The certificate of analysis: the page a stranger reads."""

from dataclasses import replace
from pathlib import Path

import pytest
from lot_story import OPENED, case_of, disposed, instead, released_signature, story, without

from isogenic.errors import NotAllowed
from isogenic.ids import LotId
from isogenic.quality.certificate import Certificate, as_pdf, as_png, as_text, certificate_of
from isogenic.quality.release import decide_release
from isogenic.records import codec

GOLDEN = Path(__file__).parent / "golden"


def certificate(told=None) -> Certificate:
    case = case_of(told or story())
    return certificate_of(case, decide_release(case, released_signature(case)))


def test_the_text_page():
    assert as_text(certificate()) == (GOLDEN / "certificate.txt").read_text()


def test_a_lot_without_a_deviation_says_none():
    told = without("quality.deviation_opened", without("quality.deviation_disposed"))
    assert "\nDEVIATIONS\n\nnone\n" in as_text(certificate(told))


def test_the_same_certificate_gives_the_same_bytes():
    once, again = as_pdf(certificate()), as_pdf(certificate())
    assert once == again
    assert once.startswith(b"%PDF-1.7") and b"/AFRelationship" in once and b"pdfaid" in once


def test_another_certificate_gives_other_bytes():
    assert as_pdf(certificate()) != as_pdf(replace(certificate(), record_root="0" * 64))


@pytest.mark.parametrize(
    "text", ['#panic("x")', "#import sys: inputs", "$x^2$ *bold* _it_ `raw` <label> @ref // note /* c */ \\ # [", '"}]{"', "Größe 测试 ☃ 😀 العربية"]
)
def test_texts_of_people_are_never_markup(text):
    opened = replace(OPENED, statement=text)
    told = instead(disposed(opened=opened, reason=text), instead(opened))
    made = certificate(told)
    assert as_pdf(made).startswith(b"%PDF") and as_png(made, ppi=30).startswith(b"\x89PNG")
    assert text.split()[0] in as_text(made)


def test_a_long_record_takes_more_pages_and_still_sets():
    one = certificate()
    long = replace(one, deviations=one.deviations * 60)
    assert len(as_pdf(long)) > len(as_pdf(one))


def test_a_certificate_is_plain_data_and_reads_back_equal():
    made = certificate()
    assert codec.read(Certificate, codec.loads(codec.dumps(codec.plain(made)))) == made


def test_a_certificate_of_another_lot_is_refused():
    case = case_of(story())
    released = decide_release(case, released_signature(case))
    with pytest.raises(NotAllowed, match="cannot certify LOT-OTHER"):
        certificate_of(case, replace(released, lot=LotId("LOT-OTHER")))
