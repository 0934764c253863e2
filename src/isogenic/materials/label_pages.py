"""Labels on paper: a two-dimensional code and the same in words below it, so that a code that cannot be scanned can be typed.

Guarantees: pure, and the same text gives the same picture; what is printed was read back by `read_label` first. The code is a QR
code (ISO/IEC 18004), error correction Q: a quarter of it may be smeared.
Leaves to others: what a label says (labels). A supplier's GS1 label is not printed anew here: the library that draws codes has no
FNC1 mode, and a code without FNC1 would be no GS1 code.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from io import BytesIO

from isogenic.errors import NotValid
from isogenic.materials.labels import LabelForm, read_label

__all__ = ["LABELS_MAX", "label_page", "label_picture"]

ERROR = "q"
LABELS_MAX = 200  # to a page: a roll
STYLE = (
    "@page{size:A4;margin:10mm}body{font-family:sans-serif;margin:0;color:#000;background:#fff}"
    ".sheet{display:grid;grid-template-columns:repeat(3,1fr);gap:4mm}"
    ".label{border:0.3mm solid #000;padding:3mm;display:flex;gap:3mm;align-items:center;break-inside:avoid}"
    ".label svg{width:24mm;height:24mm;flex:none}.label b{display:block;font-size:11pt}"
    ".label p{margin:1mm 0;font-size:8pt}.label code{font-size:6.5pt;word-break:break-all}"
)


def label_picture(text: str, *, png: bool = False, scale: int = 4) -> bytes:
    """The code of one of our own labels, as SVG or PNG."""
    import segno  # only where a label is printed

    label = read_label(text)
    if label.form is not LabelForm.ISOGENIC:
        raise NotValid(f"cannot print {label.words}", why="it is not a label of ours", possible="print the label of the received lot")
    if not 1 <= scale <= 40:
        raise NotValid("cannot print a label", why="its scale is 1 to 40")
    out = BytesIO()
    segno.make(text, error=ERROR, micro=False, boost_error=False).save(
        out, kind="png" if png else "svg", scale=scale, **({} if png else {"xmldecl": False, "svgns": True, "nl": False, "omitsize": True})
    )
    return out.getvalue()


def label_page(texts: Sequence[str], *, title: str) -> str:
    """A page of labels for a printer: each code with the words below it and the text that can be typed."""
    if len(texts) > LABELS_MAX:
        raise NotValid(f"cannot print {len(texts)} labels on a page", why=f"it holds {LABELS_MAX}")
    labels = "".join(_label(text) for text in texts)
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head>'
    return f'{head}<body><div class="sheet">{labels}</div></body></html>'


def _label(text: str) -> str:
    label = read_label(text)
    lines = [f"{label.kind}: {label.item}" if label.item and label.item != label.id else str(label.kind)]
    lines += [f"Lot {label.lot}"] if label.lot and label.lot != label.id else []
    lines += [f"Expires {label.expires:%Y-%m-%d %H:%M} UTC"] if label.expires else []
    lines += [f"For {label.patient}"] if label.patient and str(label.patient) != label.id else []
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<div class="label">{label_picture(text).decode()}<div><b>{escape(label.id)}</b>{said}<code>{escape(text)}</code></div></div>'
