"""What a site's API answers about itself."""

from __future__ import annotations

from pydantic import BaseModel, Field

from isogenic.web.messages import LedgerLine

__all__ = ["AlarmLine", "LinkLine", "LockLine", "SiteSummary", "UnitLine"]


class LinkLine(BaseModel):
    """The link to the control site."""

    up: bool
    why: str


class AlarmLine(BaseModel):
    """What is wrong with the node itself."""

    what: str
    why: str
    then: str = Field(description="what follows for the work here, and what to do")


class LockLine(BaseModel):
    """An account that wrong passwords in a row locked, and that nobody has looked at yet."""

    person: str
    at: str
    until: str
    failures: int
    means: str


class UnitLine(BaseModel):
    """A unit and the batch on it."""

    unit: str
    title: str
    working_volume: str
    batch: str | None
    state: str
    phase: str | None


class PermissionLine(BaseModel):
    """Whether something may be started here, as the site itself sees it, without a link."""

    licence: str
    product: str
    state: str
    lease_until: str | None
    may_start: bool
    why: str = Field(description="every reason against it, with its clause; who starts is not asked")


class SiteSummary(BaseModel):
    """A site on one page."""

    site: str
    title: str
    now: str
    link: LinkLine
    trouble: str
    alarms: list[AlarmLine] = []
    locked: list[LockLine] = []
    ledgers: list[LedgerLine]
    units: list[UnitLine]
    recipes: list[str]
    permissions: list[PermissionLine] = []
    open_prompts: int
