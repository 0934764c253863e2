"""The executed batch record: one batch as it was made, for the person who reviews it (21 CFR 211.188, EU GMP chapter 4.20).

    facts --fold--> ExecutedRecord --layout--> blocks --> text, HTML, PDF

`model` is the typed record, `words` says each kind of fact in a sentence, `fold` puts the
facts together, `reached` compares set-points with sealed readings, `layout` says in which
order it is read; `text`, `html` and `pdf` set the same blocks, so that they cannot say
different things.

Guarantees: a pure function of facts (and of sealed readings, where they are given): the same
facts give the same bytes, in all three forms; every fact about the batch is in it, and one
that this version cannot read is said to be there. The exceptions come first.
Leaves to others: which facts there are and whether they were witnessed (network, sites), and
what the record means for the lot (release).
"""
