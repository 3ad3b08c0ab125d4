"""How fields are written: names, colons, folding, comments, encoded words, repeated fields, values nearly right."""

from collections.abc import Callable, Iterator

from tests.corpus.ambiguity.cases import Trick

_TYPE = 'Content-Type: multipart/mixed; boundary="cut"'
_OTHER = 'Content-Type: multipart/mixed; boundary="other"'
_CTE = "Content-Transfer-Encoding"
_QP = "{payload|qp_all}"


def _instead(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


# id, what is done to the line of a field; it is played on Content-Type, on Content-Transfer-Encoding, on both
_FORMS: list[tuple[str, str, Callable[[str], str]]] = [
    ("space-before-colon", "a space in front of the colon", _instead(":", " :")),
    ("tab-before-colon", "a tab in front of the colon", _instead(":", "\t:")),
    ("fold-before-colon", "folded in front of the colon", _instead(":", "\n :")),
    ("no-space", "no space behind the colon", _instead(": ", ":")),
    ("many-spaces", "many spaces behind the colon", _instead(": ", ":" + " " * 200)),
    ("tab-after-colon", "a tab behind the colon", _instead(": ", ":\t")),
    ("form-feed-after-colon", "a form feed behind the colon", _instead(": ", ":\f")),
    ("two-colons", "two colons", _instead(":", "::")),
    ("semicolon", "a semicolon for the colon", _instead(":", ";")),
    ("equals", "a = for the colon", _instead(":", "=")),
    ("no-colon", "no colon", _instead(":", "")),
    ("folded-first", "the value on the next line", _instead(": ", ":\n ")),
    ("folded-tab", "the value on the next line, behind a tab", _instead(": ", ":\n\t")),
    ("folded-twice", "a line of white space between name and value", _instead(": ", ":\n \n ")),
    ("folded-blank", "an empty line between name and value", _instead(": ", ":\n\n ")),
    ("upper", "in capitals", lambda line: line.partition(":")[0].upper() + ":" + line.partition(":")[2]),
    ("lower", "in lower case", lambda line: line.partition(":")[0].lower() + ":" + line.partition(":")[2]),
    ("indented", "a space in front of the field, which makes it a continuation", lambda line: " " + line),
    ("indented-tab", "a tab in front of the field", lambda line: "\t" + line),
    ("comment-in-name", "a comment in the name", _instead("Content-T", "Content-T(x)")),
    ("comment-after-name", "a comment behind the name", _instead(":", "(x):")),
    ("comment-before-name", "a comment in front of the name", lambda line: "(x)" + line),
    ("comment-nested-name", "a nested comment in the name", _instead("Content-T", "Content-(a(b)c)T")),
    ("comment-before-value", "a comment in front of the value", _instead(": ", ": (x) ")),
    ("comment-nested-value", "a nested comment in front of the value", _instead(": ", ": (a(b)c) ")),
    ("comment-quoted-value", "a comment with a quoted parenthesis", _instead(": ", ": (\\)) ")),
    ("comment-folded-value", "a folded comment in front of the value", _instead(": ", ": (x\n y) ")),
    ("comment-open-value", "a comment that is never closed", _instead(": ", ": (x ")),
    ("comment-closed-value", "a parenthesis that was never opened", _instead(": ", ": x) ")),
    ("nul-in-name", "a NUL in the name", _instead("Content-T", "Content-\0T")),
    ("nul-before-colon", "a NUL in front of the colon", _instead(":", "\0:")),
    ("nul-after-colon", "a NUL behind the colon", _instead(": ", ": \0")),
    ("cr-in-name", "a CR in the name", _instead("Content-T", "Content-\rT")),
    ("cr-before-colon", "a CR in front of the colon", _instead(":", "\r:")),
    ("cr-after-colon", "a CR behind the colon", _instead(": ", ": \r")),
    ("cr-before-name", "a CR in front of the name", lambda line: "\r" + line),
    ("8bit-in-name", "a byte above 127 in the name", _instead("Content-T", "Content-\xadT")),
    ("8bit-before-value", "a no-break space in front of the value", _instead(": ", ":\xa0")),
    ("space-in-name", "a space in the name", _instead("Content-T", "Content T")),
    ("underscore-in-name", "an underscore for the hyphen", _instead("Content-", "Content_")),
    ("quoted-name", "the name in quotes", lambda line: f'"{line.partition(":")[0]}":{line.partition(":")[2]}'),
    ("quoted-line", "as in an answer", lambda line: "> " + line),
    ("zero-width", "a zero width space in the name", _instead("Content-T", "Content-\xe2\x80\x8bT")),
    ("encoded-word-name", "the name as encoded word", lambda line: "=?us-ascii?Q?" + line.replace(":", "?=:", 1)),
    ("after-empty", "the field, empty, in front of it", lambda line: line.partition(":")[0] + ":\n" + line),
    ("before-empty", "the field, empty, behind it", lambda line: line + "\n" + line.partition(":")[0] + ":"),
    ("after-no-colon", "a line without a colon in front of it", lambda line: "no field at all\n" + line),
    ("after-continued-junk", "a line without a colon, continued by it", lambda line: "no field\n folded\n" + line),
    ("before-no-colon", "a line without a colon behind it", lambda line: line + "\nno field at all"),
    ("after-from", "an mbox's line in front of it", lambda line: "From x Fri Mar  1 12:00:00 2024\n" + line),
    ("after-colon-line", "a line that begins with the colon in front of it", lambda line: ": no name\n" + line),
    ("after-spaces", "a line of spaces in front of it", lambda line: "   \n" + line),
    ("after-dot", "a lone dot in front of it", lambda line: ".\n" + line),
    ("after-998", "behind a field of 1,200 characters", lambda line: "X-Long: " + "x" * 1200 + "\n" + line),
    ("after-5000", "behind a field of 5,000 characters", lambda line: "X-Long: " + "x" * 5000 + "\n" + line),
    ("after-70000", "behind a field of 70,000 characters", lambda line: "X-Long: " + "x" * 70000 + "\n" + line),
    ("spaces-998", "1,200 spaces in front of the value", _instead(": ", ": " + " " * 1200)),
    ("comment-998", "a comment of 1,200 characters in front of the value", _instead(": ", f": ({'x' * 1200}) ")),
    ("folds-200", "200 folds in front of the value", _instead(": ", ":" + "\n " * 200)),
    ("many-fields", "behind 300 fields", lambda line: "X-Many: x\n" * 300 + line),
]
_PAIRED_FORMS = {
    "space-before-colon",
    "comment-in-name",
    "comment-before-value",
    "folded-twice",
    "cr-in-name",
    "nul-in-name",
    "indented",
    "after-no-colon",
    "fold-before-colon",
}


_NOT_THAT_FIELD = {
    "8bit-in-name",
    "space-in-name",
    "underscore-in-name",
    "quoted-name",
    "quoted-line",
    "zero-width",
    "encoded-word-name",
}
"""Nobody takes these for Content-Transfer-Encoding; but without Content-Type, some look for parts all the same."""


def _forms() -> Iterator[Trick]:
    for id_, why, change in _FORMS:
        lesson = 3 if "comment" in id_ else 4
        yield Trick(id=f"type-field-{id_}", lesson=lesson, why=f"Content-Type: {why}", container=change)
        if id_ in _NOT_THAT_FIELD:
            continue
        yield Trick(
            id=f"encoding-field-{id_}",
            lesson=lesson,
            why=f"{_CTE}: {why}",
            encoding=change,
            alone=True,
            pairs=id_ in _PAIRED_FORMS,
        )


# id, what is done, the fields that say how the message is cut
_TYPES: list[tuple[str, str, str]] = [
    ("twice-text-first", "text/plain, then the multipart", f"Content-Type: text/plain\n{_TYPE}"),
    ("twice-text-last", "the multipart, then text/plain", f"{_TYPE}\nContent-Type: text/plain"),
    ("twice-octets-first", "a file, then the multipart", f"Content-Type: application/octet-stream\n{_TYPE}"),
    ("twice-message-first", "a message, then the multipart", f"Content-Type: message/rfc822\n{_TYPE}"),
    ("twice-boundary-first", "two multiparts, cut by the first", f"{_TYPE}\n{_OTHER}"),
    ("twice-boundary-last", "two multiparts, cut by the last", f"{_OTHER}\n{_TYPE}"),
    ("twice-equal", "the same twice", f"{_TYPE}\n{_TYPE}"),
    ("twice-apart", "two, other fields between", f"{_OTHER}\nX-Between: x\nX-More: y\n{_TYPE}"),
    ("twice-case", "two, the second in capitals", f"{_OTHER}\n{_TYPE.replace('Content-Type', 'CONTENT-TYPE')}"),
    (
        "twice-split",
        "the type in one, the boundary in another",
        'Content-Type: multipart/mixed\nContent-Type: ; boundary="cut"',
    ),
    ("twice-three", "three, the middle one cuts", f"{_OTHER}\n{_TYPE}\nContent-Type: text/plain"),
    ("twice-invalid-first", "one that is no type, then the multipart", f"Content-Type: nonsense\n{_TYPE}"),
    ("twice-invalid-last", "the multipart, then one that is no type", f"{_TYPE}\nContent-Type: nonsense"),
    ("resent", "another one with a prefix", f"X-Content-Type: text/plain\n{_TYPE}\nResent-Content-Type: text/html"),
    ("comment-in-value", "a comment behind the main type", 'Content-Type: multipart(x)/mixed; boundary="cut"'),
    ("comment-subtype", "a comment in front of the subtype", 'Content-Type: multipart/(x)mixed; boundary="cut"'),
    ("comment-semicolon", "a comment with a semicolon", 'Content-Type: multipart/mixed (a; b="c"); boundary="cut"'),
    ("comment-quote", "a comment with a quote", 'Content-Type: multipart/mixed (a"b); boundary="cut"'),
    (
        "comment-quote-hides",
        "a quote in a comment that hides it",
        'Content-Type: multipart/mixed; (") boundary="cut"; x="',
    ),
    ("comment-all", "comments everywhere", 'Content-Type: (a)multipart(b)/(c)mixed(d);(e)boundary(f)=(g)"cut"(h)'),
    ("comment-splits-type", "a comment inside the main type", 'Content-Type: multi(x)part/mixed; boundary="cut"'),
    (
        "folded-everywhere",
        "folded between all its words",
        'Content-Type:\n multipart\n /\n mixed\n ;\n boundary\n =\n "cut"',
    ),
    ("folded-in-word", "folded inside a word", 'Content-Type: multi\n part/mixed; boundary="cut"'),
    ("folded-not-indented", "folded without white space", 'Content-Type: multipart/mixed;\nboundary="cut"'),
    ("folded-white-line", "folded with a line of white space", 'Content-Type: multipart/mixed;\n \n boundary="cut"'),
    ("folded-white-line-tab", "folded with a line of a tab", 'Content-Type: multipart/mixed;\n\t\n\tboundary="cut"'),
    ("folded-junk-between", "another line between", 'Content-Type: multipart/mixed;\nno field\n boundary="cut"'),
    ("folded-field-between", "another field between", 'Content-Type: multipart/mixed;\nX-Between: y\n boundary="cut"'),
    ("folded-cr", "folded with a bare CR", 'Content-Type: multipart/mixed;\r boundary="cut"'),
    ("folded-crcr", "folded with two CR and a LF", 'Content-Type: multipart/mixed;\r\r\n boundary="cut"'),
    ("folded-form-feed", "folded with a form feed", 'Content-Type: multipart/mixed;\n\fboundary="cut"'),
    ("folded-no-break", "folded with a no-break space", 'Content-Type: multipart/mixed;\n\xa0boundary="cut"'),
    ("word-q", "an encoded word", 'Content-Type: =?us-ascii?Q?multipart/mixed?=; boundary="cut"'),
    ("word-b", "an encoded word in base64", 'Content-Type: =?utf-8?B?bXVsdGlwYXJ0L21peGVk?=; boundary="cut"'),
    ("word-all", "all of it an encoded word", "Content-Type: =?us-ascii?Q?multipart/mixed;_boundary=3Dcut?="),
    (
        "long-parameter",
        "a parameter of 1,200 characters first",
        f'Content-Type: multipart/mixed; x="{"x" * 1200}"; boundary="cut"',
    ),
    ("longer-parameter", "one of 20,000", f'Content-Type: multipart/mixed; x="{"x" * 20000}"; boundary="cut"'),
    ("many-parameters", "300 parameters first", f'Content-Type: multipart/mixed; {"a=b; " * 300}boundary="cut"'),
    ("quoted-newline", "a line end in quotes", 'Content-Type: multipart/mixed; x="a\n b"; boundary="cut"'),
    ("quote-open-before", "an open quote in front of it", 'Content-Type: multipart/mixed; x="a; boundary=cut'),
    ("no-version", "no MIME-Version", _TYPE),
    ("version-2", "MIME-Version 2.0", f"MIME-Version: 2.0\n{_TYPE}"),
    ("version-comment", "MIME-Version with comments", f"MIME-Version: (x) 1 (y).(z) 0\n{_TYPE}"),
    ("bare-cr-field", "the field behind a bare CR of another", f"X-Before: y\r{_TYPE}"),
    ("bare-cr-end", "another field behind a bare CR of it", f"{_TYPE}\rX-Behind: y"),
    ("bare-cr-text", "text/plain, and the multipart behind its bare CR", f"Content-Type: text/plain\r{_TYPE}"),
    ("vertical-tab-field", "the field behind a vertical tab of another", f"X-Before: y\v{_TYPE}"),
    ("line-separator-field", "the field behind a line separator of another", f"X-Before: y\xe2\x80\xa8{_TYPE}"),
    ("next-line-field", "the field behind a next line character of another", f"X-Before: y\x85{_TYPE}"),
]


def _types() -> Iterator[Trick]:
    for id_, why, fields in _TYPES:
        changes_version = id_ in {"no-version", "version-2", "version-comment"}
        yield Trick(
            id=f"type-{id_}",
            lesson=2 if id_.startswith("twice") else 4,
            why=f"Content-Type: {why}",
            message=_instead("\nMIME-Version: 1.0", "") if changes_version else None,
            container=fields,
        )


# id, what is done, the fields of the encoding, how the payload is really encoded
_ENCODINGS: list[tuple[str, str, str, str]] = [
    ("twice-7bit-first", "7bit, then base64", f"{_CTE}: 7bit\n{_CTE}: base64", ""),
    ("twice-7bit-last", "base64, then 7bit", f"{_CTE}: base64\n{_CTE}: 7bit", ""),
    ("twice-8bit-first", "8bit, then base64", f"{_CTE}: 8bit\n{_CTE}: base64", ""),
    ("twice-binary-first", "binary, then base64", f"{_CTE}: binary\n{_CTE}: base64", ""),
    ("twice-qp-first", "quoted-printable, then base64, which it is", f"{_CTE}: quoted-printable\n{_CTE}: base64", ""),
    ("twice-qp-last", "base64, which it is, then quoted-printable", f"{_CTE}: base64\n{_CTE}: quoted-printable", ""),
    (
        "twice-qp-first-qp",
        "quoted-printable, which it is, then base64",
        f"{_CTE}: quoted-printable\n{_CTE}: base64",
        _QP,
    ),
    (
        "twice-qp-last-qp",
        "base64, then quoted-printable, which it is",
        f"{_CTE}: base64\n{_CTE}: quoted-printable",
        _QP,
    ),
    ("twice-7bit-qp", "7bit, then quoted-printable", f"{_CTE}: 7bit\n{_CTE}: quoted-printable", _QP),
    ("twice-7bit-is", "base64, then 7bit, which it is", f"{_CTE}: base64\n{_CTE}: 7bit", "{payload}"),
    ("twice-equal", "base64 twice", f"{_CTE}: base64\n{_CTE}: base64", ""),
    ("twice-unknown-first", "an unknown one, then base64", f"{_CTE}: x-unknown\n{_CTE}: base64", ""),
    ("twice-unknown-last", "base64, then an unknown one", f"{_CTE}: base64\n{_CTE}: x-unknown", ""),
    ("twice-empty-first", "an empty one, then base64", f"{_CTE}:\n{_CTE}: base64", ""),
    ("twice-case", "two, the second in lower case", f"{_CTE}: 7bit\n{_CTE.lower()}: base64", ""),
    ("twice-three", "three, the middle one is right", f"{_CTE}: 7bit\n{_CTE}: base64\n{_CTE}: 8bit", ""),
    ("upper", "in capitals", f"{_CTE}: BASE64", ""),
    ("mixed-case", "in both cases", f"{_CTE}: BaSe64", ""),
    ("qp-upper", "quoted-printable in capitals", f"{_CTE}: QUOTED-PRINTABLE", _QP),
    ("comment-behind", "a comment behind it", f"{_CTE}: base64 (x)", ""),
    ("comment-joined", "a comment right behind it", f"{_CTE}: base64(x)", ""),
    ("comment-inside", "a comment in it", f"{_CTE}: base(x)64", ""),
    ("comment-is", "it is in a comment", f"{_CTE}: (base64)", ""),
    ("comment-then-other", "it is in a comment before another", f"{_CTE}: (base64) 7bit", ""),
    ("comment-other", "another is in a comment", f"{_CTE}: (7bit) base64", ""),
    ("comment-qp", "quoted-printable behind a comment", f"{_CTE}: (x) quoted-printable", _QP),
    ("semicolon", "a semicolon behind it", f"{_CTE}: base64;", ""),
    ("semicolon-space", "a space and a parameter behind it", f"{_CTE}: base64 ;x", ""),
    ("parameter", "a parameter behind it", f"{_CTE}: base64; charset=us-ascii", ""),
    ("parameter-qp", "a parameter behind quoted-printable", f"{_CTE}: quoted-printable; x=y", _QP),
    ("comma", "a comma behind it", f"{_CTE}: base64,", ""),
    ("list", "7bit and base64 in a list", f"{_CTE}: 7bit, base64", ""),
    ("list-last", "base64 and 7bit in a list", f"{_CTE}: base64, 7bit", ""),
    ("words", "words behind it", f"{_CTE}: base64 7bit", ""),
    ("words-before", "words in front of it", f"{_CTE}: 7bit base64", ""),
    ("dot", "a dot behind it", f"{_CTE}: base64.", ""),
    ("slash", "a subtype", f"{_CTE}: base64/x", ""),
    ("quoted", "in quotes", f'{_CTE}: "base64"', ""),
    ("quoted-qp", "quoted-printable in quotes", f'{_CTE}: "quoted-printable"', _QP),
    ("quote-open", "a quote in front of it", f'{_CTE}: "base64', ""),
    ("quoted-pair", "quoted pairs in quotes", f'{_CTE}: "b\\ase64"', ""),
    ("apostrophes", "in apostrophes", f"{_CTE}: 'base64'", ""),
    ("angles", "in angle brackets", f"{_CTE}: <base64>", ""),
    ("brackets", "in brackets", f"{_CTE}: [base64]", ""),
    ("x-base64", "x-base64", f"{_CTE}: x-base64", ""),
    ("base-64", "a hyphen in it", f"{_CTE}: base-64", ""),
    ("base_64", "an underscore in it", f"{_CTE}: base_64", ""),
    ("space-inside", "a space in it", f"{_CTE}: base 64", ""),
    ("b64", "short", f"{_CTE}: b64", ""),
    ("b", "the letter of encoded words", f"{_CTE}: B", ""),
    ("base64url", "another base64", f"{_CTE}: base64url", ""),
    ("mime", "the name of the standard", f"{_CTE}: mime", ""),
    ("x-qp", "x-quoted-printable", f"{_CTE}: x-quoted-printable", _QP),
    ("quotedprintable", "no hyphen", f"{_CTE}: quotedprintable", _QP),
    ("quoted_printable", "an underscore for the hyphen", f"{_CTE}: quoted_printable", _QP),
    ("quoted-space", "a space for the hyphen", f"{_CTE}: quoted printable", _QP),
    ("qp", "short", f"{_CTE}: qp", _QP),
    ("x-unknown", "an unknown encoding", f"{_CTE}: x-unknown", ""),
    ("8-bit", "nearly 8bit", f"{_CTE}: 8-bit", "{payload}"),
    ("us-ascii", "a charset", f"{_CTE}: us-ascii", "{payload}"),
    ("x-unknown-qp", "an unknown encoding that is quoted-printable", f"{_CTE}: x-unknown", _QP),
    ("word-q", "an encoded word", f"{_CTE}: =?us-ascii?Q?base64?=", ""),
    ("word-b", "an encoded word in base64", f"{_CTE}: =?us-ascii?B?YmFzZTY0?=", ""),
    ("word-split", "two encoded words", f"{_CTE}: =?us-ascii?Q?base?= =?us-ascii?Q?64?=", ""),
    ("percent", "percent escapes", f"{_CTE}: %62ase64", ""),
    ("folded-inside", "folded in the middle", f"{_CTE}: base\n 64", ""),
    ("folded-not-indented", "the value on the next line, not indented", f"{_CTE}:\nbase64", ""),
    ("nul-behind", "a NUL behind it", f"{_CTE}: base64\0", ""),
    ("nul-inside", "a NUL in it", f"{_CTE}: base\x0064", ""),
    ("cr-behind", "a bare CR behind it", f"{_CTE}: base64\r", ""),
    ("cr-inside", "a bare CR in it", f"{_CTE}: base\r64", ""),
    ("cr-field", "behind a bare CR of another field", f"X-Before: y\r{_CTE}: base64", ""),
    ("cr-other", "7bit, and base64 behind its bare CR", f"{_CTE}: 7bit\r{_CTE}: base64", ""),
    ("8bit-behind", "a no-break space behind it", f"{_CTE}: base64\xa0", ""),
    ("form-feed-behind", "a form feed behind it", f"{_CTE}: base64\f", ""),
]
_PAIRED_ENCODINGS = {"twice-7bit-first", "twice-7bit-last", "x-base64", "quoted", "semicolon-space", "word-q"}


def _encodings() -> Iterator[Trick]:
    for id_, why, fields, body in _ENCODINGS:
        yield Trick(
            id=f"encoding-{id_}",
            lesson=2 if id_.startswith("twice") else 3 if "comment" in id_ else 4,
            why=f"{_CTE}: {why}",
            encoding=fields,
            body=body or None,
            alone=True,
            pairs=id_ in _PAIRED_ENCODINGS,
        )


def _fronts() -> Iterator[Trick]:
    """What stands in front of the header."""
    for id_, why, front in [
        ("mbox", "an mbox's line", "From sender@example.org Fri Mar  1 12:00:00 2024\n"),
        ("mbox-quoted", "an mbox's line, quoted", ">From sender@example.org Fri Mar  1 12:00:00 2024\n"),
        ("mbox-twice", "two of an mbox's lines", "From a@example.org x\nFrom b@example.org x\n"),
        ("bom", "the mark of UTF-8", "\xef\xbb\xbf"),
        ("bom-line", "the mark of UTF-8 on a line of its own", "\xef\xbb\xbf\n"),
        ("blank", "an empty line", "\n"),
        ("blanks", "empty lines", "\n\n\n"),
        ("blank-spaces", "a line of spaces", "   \n"),
        ("blank-tab", "a line of a tab", "\t\n"),
        ("space", "a space in front of the first field", " "),
        ("junk", "a line that is no field", "this is no field\n"),
        ("junk-blank", "a line that is no field, and an empty one", "this is no field\n\n"),
        ("nul", "a NUL", "\0"),
        ("cr", "a bare CR", "\r"),
        ("control-z", "an end-of-file character", "\x1a"),
        ("smtp", "the SMTP command", "DATA\n"),
        ("continuation", "a continuation of nothing", " continued\n"),
        ("http", "a line of the web", "HTTP/1.1 200 OK\n"),
        ("xml", "a byte count, as some stores write", "12345\n"),
    ]:
        yield Trick(
            id=f"front-{id_}",
            lesson=4,
            why=f"in front of the message: {why}",
            front=front,
            alone=True,
            pairs=id_ in {"blank", "junk", "bom"},
        )


TRICKS = [*_forms(), *_types(), *_encodings(), *_fronts()]
