"""In which order the record is read, and in which words: the blocks that text, HTML and PDF set.

    1  exceptions      one page: every kind by name with its number or "none", and the worst of them
    2  what was asked  recipe, version, differences, formula
    3  steps           set-points asked and reached, questions, doses, services, what happened
    4  the batch       states, materials, samples and results, reconciliation, deviations
    5  signatures      with printed name, time and meaning (21 CFR 11.50)
    6  completeness    ledgers, ranges, roots, witnessed sizes, digests of reading blocks

Guarantees: pure; every line of the record is in one of the blocks; where a list is cut, it
says how many are left out and where they are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from isogenic.batches.facts import Entered
from isogenic.batches.serials import Fate, unaccounted
from isogenic.batches.states import State
from isogenic.quality.certificate import shown_time
from isogenic.quality.deviations import Deviation
from isogenic.quality.environment import Level
from isogenic.quality.executed.blocks import Block, Cell, Column, Grid, Heading, PageBreak, Pairs, Paragraph, Row, Table, Tone, cell
from isogenic.quality.executed.fold import limits_of
from isogenic.quality.executed.model import Answered, Exceptional, ExecutedRecord, Line, Part, Question, Result, SetpointRun, Step
from isogenic.quality.executed.words import amount, minute, one_line, signal_title, signal_unit, unit_words
from isogenic.quality.specifications import Verdict
from isogenic.recipes.model import Answer
from isogenic.records.notes import VerifyingKey
from isogenic.records.signatures import Signature

__all__ = ["TITLE", "layout"]

TITLE = "Executed batch record"
WORST_MAX = 5  # lines of one kind on the page of exceptions; all of them follow it
LINES_MAX = 2_000  # lines of one table: 40 pages; what is left out is said, with its range
WHOSE = {
    "": "Ledger of the site for this sponsor",
    "C": "Ledger of the control site for this site",
    "H": "House ledger of the site, of which only the clearance of the line is read",
}
VERIFY = (
    "This page is a view of the record. The record is the ledgers: ask for the lot's dossier and run isogenic verify DOSSIER. "
    "The roots above are over so many facts from the beginning of each ledger (RFC 6962), and whoever has the ledger can compute them."
)
_NONE = cell("none", Tone.QUIET)
_WHERE = Column("Fact", 0.55, right=True)


def layout(record: ExecutedRecord) -> tuple[Block, ...]:
    """The record, block by block."""
    return (
        *_head(record),
        *_exceptions(record),
        *_asked(record),
        *_steps(record),
        *_states(record),
        *_materials(record),
        *_line(record),
        *_laboratory(record),
        *_air(record),
        *_counts(record),
        *_deviations(record),
        *_batch_lines(record),
        *_every_exception(record),
        *_signatures(record),
        *_people(record),
        *_completeness(record),
    )


# ---- page one ----


def _head(record: ExecutedRecord) -> Iterator[Block]:
    started = record.started
    yield Pairs(
        (
            ("Batch", cell(started.batch, Tone.STRONG)),
            ("Lot and product", cell(f"{started.lot} of {started.product}, made for {started.sponsor}")),
            ("Made at", cell(f"{started.control.site}, {'units' if len(record.units) > 1 else 'unit'} {', '.join(record.units)}")),
            ("Process", cell(f"{started.recipe} version {started.version}, {one_line(started.control.title)}")),
            ("Started", cell(f"{_at(record.started_at)}{f' by {_who(record, record.started_by)}' if record.started_by else ''}")),
            ("Ended", _ended(record)),
        )
    )


def _ended(record: ExecutedRecord) -> Cell:
    if record.closed is None or record.closed_at is None:
        return cell("not yet: this record is not finished", Tone.STOP)
    tone = Tone.PLAIN if record.closed.outcome is State.COMPLETE else Tone.STOP
    return cell(f"{_at(record.closed_at)}, {record.closed.outcome}", tone)


def _exceptions(record: ExecutedRecord) -> Iterator[Block]:
    found = {kind: record.exceptions(kind) for kind in Exceptional}
    yield Heading("Exceptions")
    yield Grid(tuple((kind.value, cell(len(lines), Tone.STOP) if lines else _NONE) for kind, lines in found.items()))
    if not any(found.values()):
        yield Paragraph("No exception was recorded: nothing of these kinds is in the facts of this batch.")
    for kind, lines in found.items():
        if lines:
            more = f"{len(lines)}, the first {WORST_MAX} here, all of them below" if len(lines) > WORST_MAX else str(len(lines))
            yield Heading(kind.value, level=3, aside=more)
            yield _exception_table(record, lines[:WORST_MAX], kind)
    yield PageBreak()


def _every_exception(record: ExecutedRecord) -> Iterator[Block]:
    """What the page of exceptions had no room for."""
    found = {kind: lines for kind in Exceptional if len(lines := record.exceptions(kind)) > WORST_MAX}
    if found:
        yield Heading("Every exception")
    for kind, lines in found.items():
        yield Heading(kind.value, level=3, aside=str(len(lines)))
        yield from _cut(_exception_table(record, lines[:LINES_MAX], kind), lines)


def _exception_table(record: ExecutedRecord, lines: Sequence[Line], kind: Exceptional) -> Table:
    disposed = {str(each.opened.deviation): each for each in record.deviations}
    rows = []
    for line in lines:
        where = record.steps[line.step].title if line.step is not None else ""
        under = where
        if kind is Exceptional.DEVIATION:
            under = _disposition(disposed.get(line.text.partition(" ")[0]))
        rows.append((_time(line.at), cell(line.text, under=under), _by(record, line.by), cell(line.where, Tone.QUIET)))
    return Table((Column("Time, UTC", 1.5), Column("What", 4.8), Column("By", 1.1), _WHERE), tuple(rows))


def _disposition(deviation: Deviation | None) -> str:
    if deviation is None:
        return ""
    if deviation.disposed is None:
        return "open: nobody has disposed of it"
    signed = deviation.disposed.signature
    return one_line(f"{deviation.disposed.disposition}ed by {signed.printed_name}, {shown_time(signed.at)}: {deviation.disposed.justification}")


# ---- what was asked ----


def _asked(record: ExecutedRecord) -> Iterator[Block]:
    started, control = record.started, record.started.control
    yield Heading("What was asked")
    yield Pairs(
        (
            ("Recipe", cell(f"{started.recipe} version {started.version}: {one_line(control.title)}")),
            ("General recipe", cell(started.recipe_digest, Tone.MONO)),
            ("Site recipe", cell(control.site_digest, Tone.MONO)),
            ("Master recipe", cell(control.master_digest, Tone.MONO)),
            ("Working volume", cell(amount(control.working_volume, "L"))),
            ("Language", cell(control.language)),
        )
    )
    if control.parameters:
        yield Heading("Formula, as resolved for this batch", level=3)
        rows = tuple(
            (cell(each.name.replace("_", " ")), cell(amount(each.value, each.unit)), cell("critical", Tone.STRONG) if each.critical else cell(""))
            for each in control.parameters
        )
        yield Table((Column("Parameter", 3), Column("Value", 2, right=True), Column("", 1)), rows)


# ---- steps ----


def _steps(record: ExecutedRecord) -> Iterator[Block]:
    yield Heading("Steps")
    if not record.steps:
        yield Paragraph("No step was begun.")
    if record.compared is None:
        yield Paragraph("Set-points were not compared with readings for this copy of the record.", Tone.QUIET)
    elif record.compared < len(record.blocks):
        missing = len(record.blocks) - record.compared
        yield Paragraph(f"{missing} of {len(record.blocks)} reading blocks are not at hand: set-points are compared with the others only.", Tone.STOP)
    for number, step in enumerate(record.steps, 1):
        yield from _step(record, number, step)


def _step(record: ExecutedRecord, number: int, step: Step) -> Iterator[Block]:
    operation = step.recipe.operation if step.recipe is not None else ""
    parts = (step.unit_procedure.replace("_", " "), operation.replace("_", " "), step.unit, f"run {step.run}" if step.run > 1 else "")
    place = ", ".join(each for each in parts if each)
    yield Heading(f"{number}  {one_line(step.title)}", level=2, aside=place)
    ended = f"{_at(step.ended)} ({_length(step.began, step.ended)}): {one_line(step.why)}" if step.ended is not None else "not ended"
    yield Pairs((("Began", cell(_at(step.began))), ("Ended", cell(ended, Tone.PLAIN if step.ended is not None else Tone.STOP))))
    if step.setpoints:
        yield _setpoints(step)
    if step.questions:
        yield _questions(record, step.questions)
    for part, head in ((Part.DOSE, "Dose"), (Part.SERVICE, "Service")):
        lines = [line for line in step.lines if line.part is part]
        if lines:
            yield from _cut(_lines_table(record, lines, head), lines)
    happened = [line for line in step.lines if line.part is Part.STEP or (line.part is Part.TOLD and line.exception)]
    if happened:
        yield from _cut(_lines_table(record, happened, "What happened"), happened)


def _setpoints(step: Step) -> Table:
    columns = (
        Column("Set-point", 2.2),
        Column("Asked", 1.2, right=True),
        Column("From, UTC", 1.4),
        Column("Mean reached", 1.3, right=True),
        Column("Lowest to highest", 1.7, right=True),
        Column("At its end", 1.2, right=True),
        Column("Readings", 0.9, right=True),
        _WHERE,
    )
    return Table(columns, tuple(_setpoint_row(each, step.began) for each in step.setpoints))


def _setpoint_row(run: SetpointRun, began: datetime) -> Row:
    unit, reached = signal_unit(run.name), run.reached
    asked = cell(f"{amount(run.value)} {unit}".rstrip(), Tone.STRONG)
    since = (
        cell("as before" if run.carried else "its beginning", Tone.QUIET)
        if run.since <= began or run.carried
        else cell(f"{run.since:%m-%d\u00a0%H:%M:%S}")
    )
    head = (cell(signal_title(run.name)), asked, since)
    if reached is None:
        return (*head, cell("–", Tone.QUIET), cell("–", Tone.QUIET), cell("–", Tone.QUIET), cell("–", Tone.QUIET), cell(run.where, Tone.QUIET))
    counted = cell(reached.good, under=f"{reached.others} not good" if reached.others else "")
    spread = f"{_short(reached.low)} to {_short(reached.high)}"
    return (*head, cell(_short(reached.mean)), cell(spread), cell(_short(reached.last)), counted, cell(run.where, Tone.QUIET))


def _short(value: float) -> str:
    return f"{float(f'{value:.4g}'):.12g}"


def _questions(record: ExecutedRecord, questions: Sequence[Question]) -> Table:
    columns = (Column("Question", 3.4), Column("Asked for", 1.5), Column("Answer", 1.8), Column("By, time UTC", 2.2), _WHERE)
    rows: list[Row] = []
    for each in questions:
        said = cell(one_line(each.asked.text), under=str(each.asked.prompt))
        if not each.answers:
            rows.append((said, cell(_wanted(each)), cell("not answered", Tone.STOP), cell(""), cell(each.where, Tone.QUIET)))
        for number, answer in enumerate(each.answers):
            first, last = number == 0, number == len(each.answers) - 1
            rows.append(
                (
                    said if first else cell("", under="asked again" if each.answers[number - 1].declined else "corrected"),
                    cell(_wanted(each) if first else ""),
                    _answer(each, answer, last=last),
                    cell(_who(record, answer.by), under="; ".join([_at(answer.at), *_behind(record, each, answer, last=last)])),
                    cell(answer.where, Tone.QUIET),
                )
            )
    return Table(columns, tuple(rows))


def _wanted(question: Question) -> str:
    asked = question.asked
    if asked.kind is Answer.CHOICE:
        return f"one of {one_line(', '.join(asked.how.choices))}"
    if asked.kind is Answer.SCAN:
        return one_line(f"scan of {asked.how.expects or 'a label'} {asked.how.material}".rstrip())
    return limits_of(asked) or {Answer.CONFIRM: "confirmation", Answer.TEXT: "text", Answer.NUMBER: "number"}[asked.kind]


def _answer(question: Question, answer: Answered, *, last: bool) -> Cell:
    typed = question.asked.kind is Answer.SCAN and answer.entered == Entered.TYPED
    notes = [
        "outside the limits" if answer.outside else "",
        "typed, not scanned" if typed else answer.entered if question.asked.kind is Answer.SCAN else "",
        f"label: {one_line(answer.scanned)}" if answer.scanned and answer.scanned != answer.answer else "",
        one_line(answer.why),
        "" if last else "does not stand",
    ]
    tone = Tone.STOP if answer.outside or typed else Tone.STRONG if last else Tone.QUIET
    unit = f" {unit_words(question.asked.unit)}".rstrip()
    return cell(f"{one_line(answer.answer)}{unit}", tone, "; ".join(note for note in notes if note))


def _behind(record: ExecutedRecord, question: Question, answer: Answered, *, last: bool) -> Iterator[str]:
    """Who stands behind an answer beside who gave it."""
    if answer.signed:
        yield "signed"
    if answer.witness:
        yield f"witnessed and signed by {_who(record, answer.witness)}, {_at(answer.witnessed_at)}"
    if answer.declined:
        yield f"not found so by {one_line(answer.declined)}"
    elif question.asked.how.witness and not answer.witness and last:
        yield "NOT witnessed"


def _lines_table(record: ExecutedRecord, lines: Sequence[Line], head: str) -> Table:
    rows = tuple(
        (_time(line.at), cell(line.text, Tone.STOP if line.exception else Tone.PLAIN), _by(record, line.by), cell(line.where, Tone.QUIET))
        for line in lines[:LINES_MAX]
    )
    return Table((Column("Time, UTC", 1.5), Column(head, 4.8), Column("By", 1.1), _WHERE), rows)


def _cut(table: Table, lines: Sequence[Line]) -> Iterator[Block]:
    yield table
    if len(lines) > LINES_MAX:
        left = lines[LINES_MAX:]
        yield Paragraph(f"{len(left)} more lines are in the ledger, from {left[0].where} to {left[-1].where}.", Tone.STOP)


# ---- the batch ----


def _states(record: ExecutedRecord) -> Iterator[Block]:
    lines = [line for line in record.lines if line.part is Part.STATE]
    yield Heading("States")
    if lines:
        yield from _cut(_lines_table(record, lines, "State"), lines)
    else:
        yield Paragraph("None recorded.")


def _materials(record: ExecutedRecord) -> Iterator[Block]:
    yield Heading("Materials and assemblies")
    if not record.materials:
        yield Paragraph("None recorded.")
        return
    rows = tuple(
        (
            _time(each.line.at),
            cell(one_line(each.what)),
            cell(one_line(each.lot), Tone.STRONG, one_line(each.detail)),
            _by(record, each.line.by),
            cell(each.line.where, Tone.QUIET),
        )
        for each in record.materials
    )
    yield Table((Column("Time, UTC", 1.5), Column("What", 2.4), Column("Lot", 2.6), Column("By", 1.1), _WHERE), rows)


def _line(record: ExecutedRecord) -> Iterator[Block]:
    """Clearance before, as the house ledger tells it (21 CFR 211.130(e), 211.188(b)(6))."""
    lines = [line for line in record.lines if line.part is Part.LINE]
    if lines:
        yield Heading("Line clearance")
        yield from _cut(_lines_table(record, lines, "Changeover"), lines)


def _laboratory(record: ExecutedRecord) -> Iterator[Block]:
    yield Heading("Samples and results")
    if not record.samples and not record.results:
        yield Paragraph("None recorded.")
        return
    if record.samples:
        rows = tuple(
            (_time(line.at), cell(drawn.sample), cell(one_line(drawn.what)), _by(record, line.by), cell(line.where, Tone.QUIET))
            for drawn, line in record.samples
        )
        yield Table((Column("Drawn, UTC", 1.5), Column("Sample", 2.0), Column("Of what", 3), Column("By", 1.1), _WHERE), rows)
    if record.results:
        yield Table(
            (
                Column("Sample", 1.6),
                Column("Attribute", 2.1),
                Column("Method", 2),
                Column("Result", 1.5, right=True),
                Column("Limit", 1.6, right=True),
                Column("Verdict", 1.3, right=True),
                _WHERE,
            ),
            tuple(_result_row(each) for each in record.results),
        )
    if record.specification is not None:
        said = f"Limits of the specification of {record.specification.product}, version {record.specification.version}."
        yield Paragraph(f"{said} They are illustrative." if record.specification.illustrative else said, Tone.QUIET)
    elif record.results:
        yield Paragraph("No specification is among the facts of this record: results stand without limits.", Tone.QUIET)


def _result_row(each: Result) -> Row:
    reported, judged = each.reported, each.judged
    value = cell(f"{reported.qualifier} {amount(reported.value, reported.unit)}".strip(), Tone.STRONG)
    limit, verdict = cell("–", Tone.QUIET), cell("not judged", Tone.QUIET)
    title = reported.attribute.replace("_", " ")
    if judged is not None:
        title, limit = judged.attribute.title, cell(judged.attribute.limits())
        verdict = {
            Verdict.PASS: cell("complies", Tone.GOOD),
            Verdict.FAIL: cell("does not comply", Tone.STOP),
            Verdict.NOT_JUDGED: cell("not judged", Tone.STOP),
        }[judged.verdict]
    elif each.plate is not None:
        title, limit = each.plate.what, cell("none" if each.plate.action is None else f"≤ {each.plate.action:g} CFU", under="Annex 1, table 6")
        verdict = {
            Level.WITHIN: cell("within", Tone.GOOD),
            Level.ALERT: cell("above the alert level", Tone.STRONG),
            Level.ACTION: cell("above the action limit", Tone.STOP),
            Level.NOT_SET: cell("no limit set", Tone.QUIET),
        }[each.plate.level]
    return (cell(reported.sample), cell(title), cell(one_line(reported.method)), value, limit, verdict, cell(each.where, Tone.QUIET))


def _air(record: ExecutedRecord) -> Iterator[Block]:
    """Only of a batch in whose readings there are particle counts."""
    if not record.air:
        return
    yield Heading("Air around open product", aside="against grade A in operation, EU GMP Annex 1, table 5")
    columns = (Column("Step", 2.4), Column("Particles", 2.6), Column("Highest, per m³", 1.3, right=True), Column("Limit", 1.0, right=True))
    rows = tuple(
        (
            cell(one_line(record.steps[each.step].title)),
            cell(signal_title(each.signal)),
            cell(amount(each.highest), Tone.STOP if each.above else Tone.STRONG),
            cell(amount(each.limit)),
            cell(each.above, Tone.STOP) if each.above else _NONE,
            cell(each.good, under=f"{each.others} not good" if each.others else ""),
        )
        for each in record.air
    )
    yield Table((*columns, Column("Above", 0.8, right=True), Column("Readings", 0.9, right=True)), rows)


def _counts(record: ExecutedRecord) -> Iterator[Block]:
    """Reconciliation (21 CFR 211.125(c), 211.184(d)); only of a batch in which something was counted."""
    found, serials = record.reconciliation, record.serials
    if found is None and serials is None:
        return
    yield Heading("Reconciliation")
    rows: list[tuple[str, float]] = []
    if found is not None:
        rows += [("Containers taken in", found.taken_in), ("Good", found.good), ("Sampled", found.sampled)]
        rows += [(f"Rejected for {reason.replace('_', ' ')}", count) for reason, count in found.rejected.items()]
        rows += [("Labels printed", found.printed), ("Labels applied", found.applied), ("Labels destroyed", found.destroyed)]
    if serials is not None:
        rows += [("Serialised labels issued", serials.issued), *((f"Serialised labels {fate}", serials.counted(fate)) for fate in Fate)]
    shown = tuple((cell(name), cell(f"{count:.0f}", Tone.STRONG)) for name, count in rows)
    yield Table((Column("What was counted", 4), Column("Number", 1, right=True)), shown)
    findings = [*(found.findings if found is not None else ()), *(unaccounted(serials) if serials is not None else ())]
    under_way = record.closed is None and findings
    result = cell("under way", Tone.QUIET) if under_way else cell("NOT reconciled", Tone.STOP) if findings else cell("reconciled", Tone.GOOD)
    yield Pairs((("Result", result), *(() if under_way else ((("Finding", cell(each, Tone.STOP))) for each in findings))))
    if found is not None and found.restarts:
        yield Paragraph(f"Modules began to count from nought {found.restarts} times; the numbers are sums over that.", Tone.QUIET)
    lines = [line for line in record.lines if line.part is Part.COUNTED and line.exception is None]
    yield from _cut(_lines_table(record, lines, "Counts and labels"), lines)


def _deviations(record: ExecutedRecord) -> Iterator[Block]:
    yield Heading("Deviations")
    if not record.deviations:
        yield Paragraph("None was opened.")
    for each in record.deviations:
        opened = each.opened
        yield Heading(str(opened.deviation), level=3, aside=f"{opened.severity}, found by the {opened.origin}")
        rows = [("Statement", cell(one_line(opened.statement))), ("Seen", cell(_at(opened.detected_at)))]
        rows += [("Evidence", cell(f"{one_line(name)}: {one_line(value)}")) for name, value in opened.evidence.items()]
        if each.disposed is None:
            rows.append(("Disposition", cell("open: nobody has disposed of it", Tone.STOP)))
        else:
            rows.append(("Disposition", cell(f"{each.disposed.disposition}ed: {one_line(each.disposed.justification)}")))
            rows.append(("Signed", cell(_signed(each.disposed.signature))))
        yield Pairs(tuple(rows))


def _batch_lines(record: ExecutedRecord) -> Iterator[Block]:
    told = {Part.BATCH, Part.DECISION}
    loose = [line for line in record.lines if line.part in told or (line.part in _OF_A_STEP and line.step is None)]
    yield Heading("The batch as a whole")
    yield from _cut(_lines_table(record, loose, "What happened"), loose)


_OF_A_STEP = frozenset({Part.STEP, Part.TOLD, Part.SETPOINT, Part.DOSE, Part.SERVICE})


# ---- signatures, people, completeness ----


def _signatures(record: ExecutedRecord) -> Iterator[Block]:
    yield Heading("Signatures")
    if not record.signatures:
        yield Paragraph("None: the facts of this record hold no signature.")
        return
    columns = (Column("Printed name", 1.9), Column("Meaning", 1.3), Column("Signed, UTC", 1.5), Column("Under", 4.0), _WHERE)
    rows = tuple(
        (
            cell(one_line(each.signature.printed_name), Tone.STRONG, f"{each.signature.person}, {each.signature.role.replace('_', ' ')}"),
            cell(one_line(each.signature.meaning)),
            cell(f"{each.signature.at:%Y-%m-%d %H:%M:%S}", under="with a passkey" if each.signature.evidence is not None else "with a password"),
            cell(each.what, under=f"signs {each.signature.digest[:32]}…, key {_key(each.signature)}"),
            cell(each.where, Tone.QUIET),
        )
        for each in record.signatures
    )
    yield Table(columns, rows)
    yield Paragraph(
        "Printed name, time and meaning are part of what was signed (21 CFR 11.50). This page shows signatures; isogenic verify verifies them.",
        Tone.QUIET,
    )


def _key(signature: Signature) -> str:
    return VerifyingKey.parse(signature.key).fingerprint[:16]


def _signed(signature: Signature) -> str:
    role = signature.role.replace("_", " ")
    return one_line(f"{signature.printed_name} ({signature.person}), {shown_time(signature.at)}, as {role}, meaning: {signature.meaning}")


def _people(record: ExecutedRecord) -> Iterator[Block]:
    yield Heading("People")
    if not record.people:
        yield Paragraph("Nobody acted by name.")
        return
    yield Pairs(
        tuple(
            (name, cell(one_line(printed) or "not on file in the facts of this record", Tone.PLAIN if printed else Tone.STOP))
            for name, printed in record.people.items()
        )
    )


def _completeness(record: ExecutedRecord) -> Iterator[Block]:
    yield Heading("Completeness")
    yield Pairs(tuple(_claims(record)))
    for each in record.held:
        yield Heading(
            f"Ledger {'of the site' if not each.mark else each.mark}", level=3, aside=f"its facts are shown as {each.mark}1, {each.mark}2, …"
        )
        yield Pairs(
            (
                ("Name", cell(each.ledger, Tone.MONO)),
                ("Facts", cell(f"{each.size}, up to the last that is about this batch")),
                ("Root", cell(each.root, Tone.MONO)),
                *(() if each.witnessed is None else (("Witnessed", _witnessed(record, each.witnessed)),)),
            )
        )
    if not record.held:
        yield Paragraph("Nothing is said here about the ledgers themselves: this copy was made from facts alone.", Tone.STOP)
    if record.blocks:
        yield Heading("Reading blocks", level=3, aside=f"{len(record.blocks)}, {sum(each.rows for each, _ in record.blocks)} rows")
        rows = tuple(
            (
                cell(each.number),
                cell(each.rows),
                cell(f"{minute(each.first)} to {minute(each.last)}"),
                cell(each.digest, Tone.MONO),
                cell(where, Tone.QUIET),
            )
            for each, where in record.blocks[:LINES_MAX]
        )
        yield Table(
            (Column("No.", 0.4, right=True), Column("Rows", 0.7, right=True), Column("From and to, UTC", 2.6), Column("SHA-256", 4.2), _WHERE), rows
        )
        if len(record.blocks) > LINES_MAX:
            yield Paragraph(f"{len(record.blocks) - LINES_MAX} more blocks are named in the ledger.", Tone.STOP)
    else:
        yield Paragraph("No readings were sealed.", Tone.QUIET)
    yield Paragraph(VERIFY, Tone.QUIET)


def _claims(record: ExecutedRecord) -> Iterator[tuple[str, Cell]]:
    yield "Facts about it", cell(f"{record.facts} in the site's ledger, positions {record.first} to {record.stop - 1}")
    if record.closed is None:
        yield "Closing count", cell("not closed: nothing is claimed yet", Tone.STOP)
    elif record.closed.facts == record.facts:
        yield "Closing count", cell(f"{record.closed.facts} claimed, {record.facts} read: complete", Tone.GOOD)
    else:
        yield "Closing count", cell(f"{record.closed.facts} claimed, {record.facts} read: NOT complete", Tone.STOP)
    yield "Lines", cell(f"{len(record.lines)} told in this record")


def _witnessed(record: ExecutedRecord, size: int) -> Cell:
    if size >= record.stop:
        return cell(f"{size} facts: all of this record", Tone.GOOD)
    return cell(f"{size} facts: NOT all of this record, which ends at {record.stop - 1}", Tone.STOP)


# ---- words ----


def _at(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else "not yet"


def _time(at: datetime) -> Cell:
    return cell(f"{at:%Y-%m-%d\u00a0%H:%M:%S}")


def _length(began: datetime, ended: datetime) -> str:
    hours = (ended - began).total_seconds() / 3600.0
    return f"{hours / 24.0:.1f} d" if hours >= 48 else f"{hours:.1f} h" if hours >= 1 else f"{hours * 60.0:.0f} min"


def _by(record: ExecutedRecord, name: str) -> Cell:
    if not name:
        return cell("the site", Tone.QUIET)
    printed = record.people.get(name, "").partition(",")[0]
    return cell(one_line(printed) or name, under=name if printed else "")


def _who(record: ExecutedRecord, name: str) -> str:
    printed = record.people.get(name, "").partition(",")[0]
    return f"{one_line(printed)} ({name})" if printed else name
