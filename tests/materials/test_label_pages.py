"""Labels on paper: the same picture for the same text, words below it, and nothing printed that is not a label of ours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from isogenic.errors import NotValid
from isogenic.materials.label_pages import label_page, label_picture
from isogenic.materials.labels import LabelKind, label_text

TEXT = label_text(LabelKind.MATERIAL, "RCV-7K2M", item="BAG-50", lot="A-17", expires=datetime(2027, 1, 1, tzinfo=UTC))


def test_a_label_has_its_code_and_the_same_in_words():
    page = label_page([TEXT, label_text(LabelKind.LINE, "BR-50")], title="Labels <of> LEEDS")
    assert page.count("<svg") == page.count("viewBox") == 2  # scaled as a whole: a code that is cut off cannot be scanned
    for words in ("RCV-7K2M", "material: BAG-50", "Lot A-17", "Expires 2027-01-01 00:00 UTC", TEXT, "Labels &lt;of&gt; LEEDS"):
        assert words in page


def test_the_same_text_gives_the_same_picture():
    assert label_picture(TEXT) == label_picture(TEXT)
    assert label_picture(TEXT).startswith(b"<svg")
    assert label_picture(TEXT, png=True).startswith(b"\x89PNG")
    assert label_picture(TEXT) != label_picture(label_text(LabelKind.LINE, "BR-50"))


def test_what_is_not_ours_and_what_cannot_be_read_is_not_printed():
    with pytest.raises(NotValid, match="it is not a label of ours"):
        label_picture("(01)09506000134352(10)A")
    with pytest.raises(NotValid):
        label_picture("ISOGENIC:LINE:BR-50:0")
    with pytest.raises(NotValid, match="it holds 200"):
        label_page([TEXT] * 201, title="x")
