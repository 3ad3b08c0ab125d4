"""Conditions: each form, with what it fits and what is near it and does not fit."""

import time

import pytest

from qscan_contracts.scanning import MessageStructure
from qscan_policy.domain.conditions import AttachmentCondition, HeaderCondition, SizeCondition
from qscan_policy.domain.entries import AttachmentEntry, HeaderEntry
from qscan_policy.domain.message import Message
from qscan_policy.domain.patterns import PatternError
from qscan_testkit.structures import named, structure


def attachment_fits(entry: AttachmentEntry, message: MessageStructure) -> list[str]:
    """The paths of the components that fit."""
    return [component.path for component in AttachmentCondition.compile(entry).matching(Message(message))]


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("Eicar.com", True),
        ("eicar.COM", True),
        ("eicar.com. .", True),
        ("C:\\Temp\\Eicar.com", True),
        ("docs/Eicar.com", True),
        ("Eicar.com.txt", False),
        ("MyEicar.com", False),
        ("Eicarxcom", False),
        ("Eicar.com/readme", False),
    ],
)
def test_a_name_is_exact_but_for_case_path_and_what_windows_ignores(name, fits):
    """The name of a rule is compared with the whole name and with its last element."""
    assert bool(attachment_fits(AttachmentEntry(name="Eicar.com"), structure(named(name)))) is fits


@pytest.mark.parametrize(
    ("extension", "name", "fits"),
    [
        ("pif", "x.pif", True),
        (".pif", "x.pif", True),
        ("pif", "X.PIF", True),
        ("pif", ".pif", True),
        ("pif", "x.pif. ", True),
        ("pif", "pif", False),
        ("pif", "x.pif.txt", False),
        ("pif", "xpif", False),
        ("tar.gz", "a.tar.gz", True),
        ("tar.gz", "a.gz", False),
    ],
)
def test_an_extension_is_what_follows_a_dot_at_the_end(extension, name, fits):
    """With or without the dot in the rule; two-part extensions work."""
    assert bool(attachment_fits(AttachmentEntry(extension=extension), structure(named(name)))) is fits


@pytest.mark.parametrize(
    ("glob", "name", "fits"),
    [
        ("invoice*.htm?", "Invoice 12.HTML", True),
        ("invoice*.htm?", "invoice.htm", False),
        ("x[1].exe", "x[1].exe", True),
        ("x[1].exe", "x1.exe", False),
        ("*.exe", "a\nb.exe", True),
        ("*ü*", "GRÜN.txt", True),
        ("*", "anything", True),
    ],
)
def test_a_glob_knows_only_star_and_question_mark(glob, name, fits):
    """Brackets stand for themselves, and a line break in a name does not help to get past a star."""
    assert bool(attachment_fits(AttachmentEntry(glob=glob), structure(named(name)))) is fits


@pytest.mark.parametrize(
    ("size", "fits"),
    [(68, [68]), (0, [0]), ("<68", [0, 67]), (">68", [69, 1000]), ("> 68", [69, 1000])],
)
def test_sizes_are_exact_below_or_above(size, fits):
    """The bound itself is neither below nor above."""
    condition = SizeCondition.parse(size)
    assert [bytes_ for bytes_ in (0, 67, 68, 69, 1000) if condition.holds(bytes_)] == fits


def test_name_and_size_must_hold_for_the_same_component():
    """One component with the name and another with the size are not enough."""
    entry = AttachmentEntry(name="Eicar.com", size=68)
    assert attachment_fits(entry, structure(named("Eicar.com", size=1), named("x.txt", size=68, path="2"))) == []
    assert attachment_fits(entry, structure(named("Eicar.com", size=1), named("eicar.com", size=68, path="2"))) == ["2"]


def test_extension_and_glob_must_hold_for_the_same_name():
    """A component with two candidate names, each fitting one half, does not fit."""
    entry = AttachmentEntry(extension="exe", glob="invoice*")
    assert attachment_fits(entry, structure(named("invoice.pdf", "run.exe"))) == []
    assert attachment_fits(entry, structure(named("harmless.txt", "invoice.exe"))) == ["1"]


def test_any_candidate_name_counts():
    """The reading of the header that a mail program takes is not known, so each of them is compared."""
    assert attachment_fits(AttachmentEntry(extension="exe"), structure(named("a.txt", "a.exe"))) == ["1"]


def test_what_has_no_name_is_no_attachment():
    """A rule on the size alone does not stop the text of a message, nor the raw message."""
    assert attachment_fits(AttachmentEntry(size=">0"), structure(named(), named("a", path="2"))) == ["2"]


@pytest.mark.parametrize(
    "entry", [AttachmentEntry(name=". "), AttachmentEntry(extension="."), AttachmentEntry(name=("a", "."))]
)
def test_a_name_of_nothing_but_what_is_ignored_is_refused(entry):
    """It would fit either nothing or everything."""
    with pytest.raises(PatternError):
        AttachmentCondition.compile(entry)


def header_fits(entry: HeaderEntry, header: bytes) -> bool:
    """Whether the condition holds for a message with this header."""
    return HeaderCondition.compile(entry).holds(Message(structure(header=header)))


@pytest.mark.parametrize(
    ("matches", "header", "fits"),
    [
        ("Pickles.*Breakfast", b"Subject: Pickles for Breakfast\n\n", True),
        ("^Pickles.*Breakfast$", b"Subject: Pickles for Breakfast\n\n", True),
        ("^Pickles$", b"Subject: Pickles for Breakfast\n\n", False),
        ("pickles", b"Subject: Pickles\n\n", False),
        ("(?i)pickles", b"subject: PICKLES\n\n", True),
        ("Pickles for", b"Subject: Pickles\n for Breakfast\n\n", True),
        ("Pickles", b"Subject: hello\nX-Subject: Pickles\n\n", False),
        ("Pickles", b"Subject: hello\nSUBJECT : Pickles\n\n", True),
        ("Pickles", b"Subject: =?utf-8?B?UGlja2xlcw==?=\n\n", True),
        (r"=\?utf-8\?B\?", b"Subject: =?utf-8?B?UGlja2xlcw==?=\n\n", True),
        ("Grün", b"Subject: =?iso-8859-1?Q?Gr=FCn?=\n\n", True),
        ("Grün", "Subject: Grün\n\n".encode(), True),
        ("^.{5}$", b"Subject: a\xff\xfe\r\x80\n\n", True),
    ],
)
def test_a_header_condition_looks_at_every_such_field_raw_and_decoded(matches, header, fits):
    """Names in any case, values unfolded, encoded words resolved; bytes of no charset are matched by a dot."""
    assert header_fits(HeaderEntry(field="Subject", matches=matches), header) is fits


@pytest.mark.parametrize(("reading", "fits"), [("raw", False), ("decoded", True), ("either", True)])
def test_the_reading_can_be_chosen(reading, fits):
    """What is only there after decoding does not fit the raw reading."""
    entry = HeaderEntry(field="Subject", matches="Pickles", reading=reading)
    assert header_fits(entry, b"Subject: =?utf-8?B?UGlja2xlcw==?=\n\n") is fits


@pytest.mark.parametrize("pattern", ["(a", r"(a)\1", "(?=a)", "(?<!a)b", "((a{1000}){1000}){1000}"])
def test_what_cannot_be_matched_in_linear_time_is_refused(pattern):
    """Back-references and look-around are no RE2, and an expression may not grow without bound."""
    with pytest.raises(PatternError):
        HeaderCondition.compile(HeaderEntry(field="Subject", matches=pattern))


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(.*a){20}$", "(x+x+)+y"])
def test_an_expression_that_hangs_others_takes_linear_time(pattern):
    """Classic catastrophic expressions on 200 kB take far less than a second each."""
    condition = HeaderCondition.compile(HeaderEntry(field="Subject", matches=pattern))
    message = Message(structure(header=b"Subject: " + b"a" * 200_000 + b"x" * 1000 + b"!\n\n"))
    started = time.process_time()
    condition.holds(message)
    assert time.process_time() - started < 1


def test_names_that_are_nothing_but_separators_cost_little():
    """Ten megabytes of them do not hold up the loop, and with it every other message."""
    message = Message(structure(*(named("/" * 100_000 + "\\" * 100_000) for _ in range(50))))
    started = time.process_time()
    assert len(message.attachments) == 50
    assert time.process_time() - started < 0.4
