"""What a site's API answers about itself."""

from __future__ import annotations

from pydantic import BaseModel

from isogenic.web.messages import LedgerLine

__all__ = ["LinkLine", "SiteSummary", "UnitLine"]


class LinkLine(BaseModel):
    """The link to the control site."""

    up: bool
    why: str


class UnitLine(BaseModel):
    """A unit and the batch on it."""

    unit: str
    title: str
    working_volume: str
    batch: str | None
    state: str
    phase: str | None


class SiteSummary(BaseModel):
    """A site on one page."""

    site: str
    title: str
    now: str
    link: LinkLine
    trouble: str
    ledgers: list[LedgerLine]
    units: list[UnitLine]
    recipes: list[str]
    open_prompts: int
