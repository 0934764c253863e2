"""What an inspector asks of files: whether they verify, a statement from them, what left, what may be deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from isogenic import __version__
from isogenic.clock import DisciplinedClock, SystemClock
from isogenic.errors import NotFound, NotTrusted, NotValid
from isogenic.ids import RandomMint
from isogenic.records import codec
from isogenic.records.durable import write_whole
from isogenic.shell.accounts import accounts_of

__all__ = ["disclosure_report", "export_statement", "show_watermarks", "verify_path"]


def verify_path(path: Path, *, keys: Path | None, as_json: bool = False) -> int:
    """Verify a dossier, a ledger file or a node's folder; prints what was found, gives the exit code."""
    import isogenic.shell.kinds  # noqa: F401 (registers every kind of fact)
    from isogenic.network.inspection import inspect

    try:
        trusted = keys.read_text() if keys else None
    except (OSError, UnicodeDecodeError) as trouble:
        raise NotValid(f"cannot read {keys}", why=str(trouble)) from trouble
    report = inspect(path, keys=trusted)
    print(codec.dumps(report.plain()).decode() if as_json else report)
    return 0 if report.ok else NotTrusted.exit_code


def export_statement(folder: Path, kind: str, *, about: str, person: str, password: str, out: Path) -> None:
    """Export a statement from a control site that does not run; the person signs in with the password."""
    from isogenic.network.control import CONTROL
    from isogenic.network.decisions import directory
    from isogenic.network.home import ControlHome
    from isogenic.network.statements import StatementKind
    from isogenic.network.statements import export_statement as export
    from isogenic.records.lock import sole_process
    from isogenic.web.control_api import control_door

    if kind not in list(StatementKind):
        raise NotValid(f"cannot state {kind[:40]!r}", why="no such statement", possible=", ".join(StatementKind))
    home = ControlHome.open(folder)
    with sole_process(folder, who=CONTROL, among_others=home.shared):
        node = home.node(clock=SystemClock(), mint=RandomMint(), software=__version__)
        node.start()
        try:
            session = asyncio.run(control_door(node, accounts_of(node, folder)).sign_in(person, password))
            data = export(node, directory(node).person(session.person), StatementKind(kind), about=about)
        finally:
            node.stop()
    write_whole(out, data)
    print(f"{out}: {kind} of {about}")


def disclosure_report(folder: Path, *, since: str = "", to: str = "") -> list[str]:
    """What left a node, read from its journal once its signatures and tree are verified."""
    from isogenic.clock import time_of_text
    from isogenic.records.disclosures import disclosures

    if (folder / "directory.json").exists():
        from isogenic.network.home import ControlHome

        journals = ControlHome.open(folder).journals()
    else:
        from isogenic.sites.home import SiteHome

        there = (folder / "disclosures.sqlite").exists()
        journals = [SiteHome.open(folder).journal_file().open()] if there else []
    if not journals:
        raise NotFound(f"no disclosures in {folder}", why="no node of this folder has kept a journal of what leaves")
    lines = []
    for ledger in journals:
        try:
            ledger.check()
            found = disclosures(ledger.facts(), since=time_of_text(since) if since else None, to=to)
            total = sum(each.size for each in found)
            verified = f"the journal of {ledger.size} facts verifies, root {ledger.root.hex()}"
            lines += [*map(str, found), f"{len(found)} disclosures, {total:,} bytes; {verified}"]
        finally:
            ledger.store.close()
    return lines


def show_watermarks(folder: Path) -> str:
    """What the control site holds twice of a site's ledgers, and what the site may delete for it."""
    from isogenic.records.notes import VerifyingKey
    from isogenic.sites.home import SiteHome
    from isogenic.sites.pruning import prunable

    home = SiteHome.open(folder)
    ledgers = home.ledgers()
    try:
        facts = [fact for ledger in ledgers.values() for fact in ledger.facts()]
    finally:
        for ledger in ledgers.values():
            ledger.store.close()
    found = prunable(facts, by=[VerifyingKey.parse(home.trust.ledger)], keep_days=home.settings.keep_days, now=DisciplinedClock().now().at)
    return "\n".join(str(each) for each in found)
