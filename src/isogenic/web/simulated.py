"""A sentence on a site's own screens, where its equipment is simulated: nobody takes cells that do not exist for real ones.

Guarantees: it is shown where simulated equipment has left the address of its page in the node's folder (`page.json`), and
nowhere else; only an address of this very machine becomes a link, whatever the file says.
Leaves to others: that page (the simulation, of which nothing is known here).
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from isogenic.web.screens.markup import Markup, h
from isogenic.web.screens.parts import mark
from isogenic.web.serving import is_loopback

__all__ = ["simulated_note"]

FILE_BYTES_MAX = 2_000  # an address and its braces


def simulated_note(folder: Path) -> Markup | None:
    """The sentence, with the link; None at a site whose equipment is real."""
    file = folder / "page.json"
    if not file.is_file():
        return None
    url = _address(file)
    inside = ["Look ", h("a", "inside its vessels", href=url), " on the machine that runs them."] if url else ["Its page cannot be found."]
    return h("p.simulated", mark("warn", "simulated"), " This facility does not exist, and what grows in it neither. ", *inside)


def _address(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            told = json.loads(opened.read(FILE_BYTES_MAX))
        url = told["page"]
        parts = urlsplit(url)
        known = parts.scheme == "http" and is_loopback(parts.hostname or "") and parts.port is not None and parts.path in ("", "/")
        return f"http://{parts.hostname}:{parts.port}/" if known else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
