"""Where parts begin and end: boundaries, delimiters, nesting, and types that say there are parts."""

from collections.abc import Iterator

from tests.corpus.ambiguity.cases import Trick

_LONG = "b" * 60

# id, what is done, the parameters of Content-Type: multipart/mixed, the boundary that the delimiters really have
_BOUNDARIES: list[tuple[str, str, str, str]] = [
    ("two-first", "two boundaries, cut by the first", 'boundary="cut"; boundary="other"', "cut"),
    ("two-last", "two boundaries, cut by the last", 'boundary="other"; boundary="cut"', "cut"),
    ("two-equal", "the same boundary twice", 'boundary="cut"; boundary="cut"', "cut"),
    ("two-unquoted-first", "two unquoted, cut by the first", "boundary=cut; boundary=other", "cut"),
    ("two-unquoted-last", "two unquoted, cut by the last", "boundary=other; boundary=cut", "cut"),
    ("two-quoted-last", "unquoted and quoted, cut by the quoted", 'boundary=other; boundary="cut"', "cut"),
    ("two-quoted-first", "quoted and unquoted, cut by the quoted", 'boundary="cut"; boundary=other', "cut"),
    ("two-upper-last", "two, one in capitals, cut by the last", 'boundary="other"; BOUNDARY="cut"', "cut"),
    ("two-upper-first", "two, one in capitals, cut by the first", 'BOUNDARY="cut"; boundary="other"', "cut"),
    ("two-apart", "two with another parameter between", 'boundary="other"; charset=x; boundary="cut"', "cut"),
    ("two-empty-first", "the first one empty", 'boundary=""; boundary="cut"', "cut"),
    ("two-empty-last", "the last one empty", 'boundary="cut"; boundary=""', "cut"),
    ("two-nothing-first", "the first one without a value", 'boundary; boundary="cut"', "cut"),
    ("two-prefix", "two, one the beginning of the other", 'boundary="cu"; boundary="cut"', "cut"),
    ("three-middle", "three, cut by the middle one", "boundary=a; boundary=cut; boundary=c", "cut"),
    ("continued", "RFC 2231 continuations", 'boundary*0="cu"; boundary*1="t"', "cut"),
    ("continued-backwards", "continuations out of order", 'boundary*1="t"; boundary*0="cu"', "cut"),
    ("continued-gap", "continuations with a gap", 'boundary*0="cut"; boundary*2="x"', "cut"),
    ("continued-from-one", "continuations that begin with 1", 'boundary*1="cu"; boundary*2="t"', "cut"),
    ("continued-plain-last", "continuations, then a plain one", 'boundary*0="cu"; boundary*1="t"; boundary="o"', "cut"),
    (
        "continued-plain-first",
        "a plain one, then continuations",
        'boundary="o"; boundary*0="cu"; boundary*1="t"',
        "cut",
    ),
    ("plain-continued-last", "a plain one that cuts, then continuations", 'boundary=cut; boundary*0="o"', "cut"),
    ("plain-continued-first", "continuations, then a plain one that cuts", 'boundary*0="o"; boundary=cut', "cut"),
    ("extended", "RFC 2231 extended value", "boundary*=us-ascii''cut", "cut"),
    ("extended-percent", "extended value with escapes", "boundary*=us-ascii''c%75t", "cut"),
    ("extended-percent-raw", "extended value, cut by its escapes as they are", "boundary*=us-ascii''c%75t", "c%75t"),
    ("extended-no-charset", "extended value without charset", "boundary*=cut", "cut"),
    ("extended-plain-last", "extended, then a plain one that cuts", "boundary*=us-ascii''other; boundary=cut", "cut"),
    ("extended-plain-first", "plain, then an extended one that cuts", "boundary=other; boundary*=us-ascii''cut", "cut"),
    ("extended-continued", "extended continuations", "boundary*0*=us-ascii''c%75; boundary*1*=t", "cut"),
    ("percent-plain", "percent escapes where they mean nothing, cut by the decoded", 'boundary="c%75t"', "cut"),
    ("encoded-word", "an encoded word, cut by the decoded", 'boundary="=?us-ascii?Q?cut?="', "cut"),
    ("encoded-word-raw", "an encoded word, cut by its text", 'boundary="=?us-ascii?Q?cut?="', "=?us-ascii?Q?cut?="),
    ("spaces-around", "white space around the =", 'boundary = "cut"', "cut"),
    ("upper", "the parameter in capitals", 'BOUNDARY="cut"', "cut"),
    ("case-differs", "delimiters in another case", 'boundary="CUT"', "cut"),
    ("comment-after", "a comment behind the value", "boundary=cut (x)", "cut"),
    ("comment-after-joined", "a comment right behind the value", "boundary=cut(x)", "cut"),
    ("comment-joined-raw", "a comment right behind the value, taken for a part of it", "boundary=cut(x)", "cut(x)"),
    ("comment-before", "a comment in front of the value", "boundary=(x)cut", "cut"),
    ("comment-name", "a comment in the parameter's name", 'bound(x)ary="cut"', "cut"),
    ("comment-between", "a comment between name and =", 'boundary (x) = (y) "cut"', "cut"),
    ("comment-boundary", "a boundary in a comment, then the real one", "(boundary=other;) boundary=cut", "cut"),
    ("comment-hides", "the real boundary is in a comment", "boundary=other (; boundary=cut)", "cut"),
    (
        "in-quoted-string",
        "a boundary inside another parameter's value",
        'name="x; boundary=other"; boundary=cut',
        "cut",
    ),
    ("in-quoted-string-real", "the real one is inside a value", 'name="x; boundary=cut; y"; boundary=other', "cut"),
    ("quote-open", "no closing quote", 'boundary="cut', "cut"),
    ("quote-open-kept", "no closing quote, the opening one belongs to it", 'boundary="cut', '"cut'),
    ("quote-end", "a closing quote alone", 'boundary=cut"', "cut"),
    ("quote-end-kept", "a closing quote alone that belongs to it", 'boundary=cut"', 'cut"'),
    ("quote-inside", "a part of it in quotes", 'boundary=c"u"t', "cut"),
    ("quote-begin", "the first part of it in quotes", 'boundary="cu"t', "cut"),
    ("quote-begin-cut", "text behind the closing quote, dropped", 'boundary="cut"x', "cut"),
    ("apostrophes", "in apostrophes, which are no quotes", "boundary='cut'", "cut"),
    ("apostrophes-kept", "in apostrophes, which belong to it", "boundary='cut'", "'cut'"),
    ("quoted-pair", "quoted pairs", 'boundary="c\\ut"', "cut"),
    ("quoted-pair-kept", "quoted pairs taken as they are", 'boundary="c\\ut"', "c\\ut"),
    ("backslash-unquoted", "a backslash outside quotes", "boundary=c\\ut", "cut"),
    ("specials-quoted", "all kinds of characters", 'boundary="=_(cut)+,./:=?\'"', "=_(cut)+,./:=?'"),
    ("specials-unquoted", "characters that want quotes", "boundary==_cut:/?=", "=_cut:/?="),
    ("comma-unquoted", "a comma outside quotes", "boundary=cu,t", "cu,t"),
    ("comma-ends", "a comma outside quotes ends it", "boundary=cut,x", "cut"),
    ("semicolon-quoted", "a semicolon in it", 'boundary="cu;t"', "cu;t"),
    ("space-inside", "a space in it", 'boundary="cu t"', "cu t"),
    ("space-unquoted", "a space outside quotes belongs to it", "boundary=cu t", "cu t"),
    ("space-ends", "a space outside quotes ends it", "boundary=cut here", "cut"),
    ("space-trailing", "a space at its end is dropped", 'boundary="cut "', "cut"),
    ("space-trailing-kept", "a space at its end is kept", 'boundary="cut "', "cut "),
    ("space-leading", "a space at its beginning is dropped", 'boundary=" cut"', "cut"),
    ("space-leading-kept", "a space at its beginning is kept", 'boundary=" cut"', " cut"),
    ("folded-inside", "folded inside the value", 'boundary="cu\n t"', "cu t"),
    ("folded-inside-joined", "folded inside the value, joined without space", 'boundary="cu\n t"', "cut"),
    ("folded-before-value", "folded in front of the value", "boundary=\n cut", "cut"),
    ("folded-before-equals", "folded in front of the =", "boundary\n =cut", "cut"),
    ("no-separator", "no semicolon behind it", 'boundary="cut" charset=us-ascii', "cut"),
    ("no-separator-before", "no semicolon in front of it", 'charset=us-ascii boundary="cut"', "cut"),
    ("colon", "a colon for the =", "boundary:cut", "cut"),
    ("many-semicolons", "empty parameters", ";;; ;boundary=cut;;", "cut"),
    ("x-prefix", "a parameter whose name ends in boundary", "x-boundary=other; boundary=cut", "cut"),
    ("nul-ends", "a NUL in it ends it", 'boundary="cut\0x"', "cut"),
    ("nul-dropped", "a NUL in it is dropped", 'boundary="cu\0t"', "cut"),
    ("nul-kept", "a NUL in it is kept", 'boundary="cu\0t"', "cu\0t"),
    ("tab-inside", "a tab in it", 'boundary="cu\tt"', "cu\tt"),
    ("8bit", "bytes above 127 in it", 'boundary="c\xfct"', "c\xfct"),
    ("utf-8", "UTF-8 in it", 'boundary="c\xc3\xbct"', "c\xc3\xbct"),
    ("hyphens", "made of hyphens", 'boundary="----"', "----"),
    ("hyphens-end", "ends in hyphens, as closing delimiters do", 'boundary="cut--"', "cut--"),
    ("one-character", "one character", "boundary=x", "x"),
    ("empty", "empty: delimiters are --", 'boundary=""', ""),
    ("empty-unquoted", "no value: delimiters are --", "boundary=", ""),
    ("missing", "no boundary, but delimiters", "charset=us-ascii", "cut"),
    ("70", "70 characters, the most that is allowed", f'boundary="{_LONG}{"c" * 10}"', _LONG + "c" * 10),
    ("71", "71 characters", f'boundary="{_LONG}{"c" * 11}"', _LONG + "c" * 11),
    ("251", "251 characters", f'boundary="{"b" * 251}"', "b" * 251),
    ("1000", "1,000 characters", f'boundary="{"b" * 1000}"', "b" * 1000),
    ("5000", "5,000 characters", f'boundary="{"b" * 5000}"', "b" * 5000),
    ("71-cut-off", "71 characters, of which delimiters have 70", f'boundary="{_LONG}{"c" * 11}"', _LONG + "c" * 10),
    ("251-cut-off", "251 characters, of which delimiters have 250", f'boundary="{"b" * 251}"', "b" * 250),
    ("100-longer", "delimiters go on behind the boundary", f'boundary="{_LONG}"', _LONG + "c" * 40),
]
_PAIRED_BOUNDARIES = {
    "two-last",
    "two-first",
    "continued",
    "extended-plain-first",
    "quote-open",
    "missing",
    "71-cut-off",
}


def _boundaries() -> Iterator[Trick]:
    for id_, why, parameters, cut_by in _BOUNDARIES:
        yield Trick(
            id=f"boundary-{id_}",
            lesson=1 if parameters.lower().count("boundary") > 1 else 8,
            why=why,
            container=f"Content-Type: multipart/mixed; {parameters}",
            opening=f"--{cut_by}",
            closing=f"--{cut_by}--",
            pairs=id_ in _PAIRED_BOUNDARIES,
        )


# id, what is done, the value of the Content-Type of the whole
_TYPES: list[tuple[str, str, str]] = [
    ("capitals", "another case", 'MULTIPART/Mixed; boundary="cut"'),
    ("unknown-subtype", "a subtype that nobody knows", 'multipart/x-qscan; boundary="cut"'),
    ("alternative", "of alternatives some readers show one", 'multipart/alternative; boundary="cut"'),
    ("related", "of related parts some readers show the first", 'multipart/related; boundary="cut"'),
    ("form-data", "a type of the web", 'multipart/form-data; boundary="cut"'),
    ("signed", "one part and a signature, say the types", 'multipart/signed; protocol="x/y"; boundary="cut"'),
    ("encrypted", "nothing in it is encrypted", 'multipart/encrypted; protocol="x/y"; boundary="cut"'),
    ("report", "a report", 'multipart/report; report-type=x; boundary="cut"'),
    ("header-set", "an experimental type of old", 'multipart/header-set; boundary="cut"'),
    ("appledouble", "two halves of a file", 'multipart/appledouble; boundary="cut"'),
    ("space-before-slash", "white space in front of the slash", 'multipart /mixed; boundary="cut"'),
    ("space-after-slash", "white space behind the slash", 'multipart/ mixed; boundary="cut"'),
    ("no-subtype", "no subtype", 'multipart; boundary="cut"'),
    ("empty-subtype", "an empty subtype", 'multipart/; boundary="cut"'),
    ("no-type", "parameters alone", 'boundary="cut"'),
    ("empty-type", "a semicolon first", '; boundary="cut"'),
    ("quoted", "in quotes", '"multipart/mixed"; boundary="cut"'),
    ("two-slashes", "two slashes", 'multipart/mixed/x; boundary="cut"'),
    ("backslash", "a backslash for the slash", 'multipart\\mixed; boundary="cut"'),
    ("comma", "a comma for the semicolon", 'multipart/mixed, boundary="cut"'),
    ("no-semicolon", "no semicolon", 'multipart/mixed boundary="cut"'),
    ("colon-for-semicolon", "a colon for the semicolon", 'multipart/mixed: boundary="cut"'),
    ("text-before", "words in front of it", 'type multipart/mixed; boundary="cut"'),
    ("words-behind", "words behind it", 'multipart/mixed or so; boundary="cut"'),
    ("text-plain", "a text with a boundary", 'text/plain; boundary="cut"'),
    ("text-html", "HTML with a boundary", 'text/html; boundary="cut"'),
    ("octet-stream", "a file with a boundary", 'application/octet-stream; boundary="cut"'),
    ("message", "a message with a boundary", 'message/rfc822; boundary="cut"'),
    ("misspelt", "misspelt", 'multi-part/mixed; boundary="cut"'),
    ("plural", "misspelt by a letter", 'multiparts/mixed; boundary="cut"'),
    ("8bit", "a byte above 127 in it", 'multipart/mixed\xa0; boundary="cut"'),
    ("nul", "a NUL behind it", 'multipart/mixed\0; boundary="cut"'),
]
_PAIRED_TYPES = {"alternative", "no-subtype", "text-plain", "no-semicolon"}


def _types() -> Iterator[Trick]:
    for id_, why, value in _TYPES:
        yield Trick(id=f"type-{id_}", lesson=8, why=why, container=f"Content-Type: {value}", pairs=id_ in _PAIRED_TYPES)
    yield Trick(id="type-none", lesson=8, why="no Content-Type, but a body that looks cut into parts", container="X: y")


def _delimiters() -> Iterator[Trick]:
    """Lines that are delimiters for some readers, and lines that are none."""
    lines = [
        ("trailing-space", "white space behind delimiters", "--cut  ", "--cut--  "),
        ("trailing-tab", "a tab behind delimiters", "--cut\t", "--cut--\t"),
        ("trailing-word", "a word behind delimiters", "--cut here", "--cut-- here"),
        ("trailing-letters", "letters right behind delimiters", "--cuts", "--cuts--"),
        ("trailing-hyphen", "a hyphen behind delimiters", "--cut-", "--cut--"),
        ("trailing-nul", "a NUL behind delimiters", "--cut\0", "--cut--"),
        ("trailing-control", "a form feed behind delimiters", "--cut\f", "--cut--"),
        ("trailing-semicolon", "a semicolon behind delimiters", "--cut;", "--cut--"),
        ("leading-space", "a space in front of delimiters", " --cut", " --cut--"),
        ("leading-tab", "a tab in front of delimiters", "\t--cut", "\t--cut--"),
        ("leading-nul", "a NUL in front of delimiters", "\0--cut", "\0--cut--"),
        ("quoted", "delimiters as in an answer", "> --cut", "> --cut--"),
        ("dashes-escaped", "delimiters with escaped dashes", "- --cut", "- --cut--"),
        ("space-inside", "a space behind the hyphens", "-- cut", "-- cut--"),
        ("one-hyphen", "one hyphen", "-cut", "-cut--"),
        ("three-hyphens", "three hyphens", "---cut", "---cut--"),
        ("no-hyphens", "no hyphens", "cut", "cut--"),
        ("em-dash", "hyphens made one by a program that means well", "\x97cut", "\x97cut--"),
        ("quotes", "the boundary in quotes as in the header", '--"cut"', '--"cut"--'),
        ("closing-everywhere", "each delimiter closes", "--cut--", "--cut--"),
        ("closing-space", "a space in front of the last hyphens", "--cut", "--cut --"),
        ("closing-one-hyphen", "one hyphen at the end", "--cut", "--cut-"),
        ("closing-word", "a word behind the closing one", "--cut", "--cut--x"),
        ("closing-three", "three hyphens at the end", "--cut", "--cut---"),
        ("upper", "delimiters in capitals", "--CUT", "--CUT--"),
    ]
    for id_, why, opening, closing in lines:
        yield Trick(
            id=f"delimiter-{id_}",
            lesson=8,
            why=why,
            opening=opening,
            closing=closing,
            pairs=id_ in {"trailing-space", "leading-space", "closing-everywhere"},
        )


def _places() -> Iterator[Trick]:
    """Parts where no part should be."""
    part = (
        "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        'Content-Disposition: attachment; filename="{name}"\n\n{binary|base64_lines}'
    )
    harmless = "Content-Type: text/plain\n\nNothing to see here either."
    yield Trick(id="closing-missing", lesson=8, why="no closing delimiter", closing="", pairs=True)
    yield Trick(
        id="closing-missing-cut",
        lesson=8,
        why="the message ends in the middle of the base64",
        closing="",
        body="{binary|base64_cut_off}",
    )
    yield Trick(id="preamble-closes", lesson=8, why="a closing delimiter first", preamble="--cut--", pairs=True)
    yield Trick(
        id="companion-closes", lesson=8, why="closed, and open again", companion="Content-Type: text/plain\n\n--cut--"
    )
    yield Trick(
        id="preamble-part",
        lesson=8,
        why="a part, with a header, in front of the first delimiter",
        preamble=part,
        kind="Content-Type: text/plain",
        encoding="",
        disposition="",
        body="Nothing.",
    )
    yield Trick(
        id="epilogue-part",
        lesson=8,
        why="a part behind the closing delimiter",
        kind="Content-Type: text/plain",
        encoding="",
        disposition="",
        body="Nothing.",
        epilogue="--cut\n" + part + "\n--cut--",
    )
    yield Trick(
        id="epilogue-part-unclosed",
        lesson=8,
        why="an open part behind the closing delimiter",
        kind="Content-Type: text/plain",
        encoding="",
        disposition="",
        body="Nothing.",
        epilogue="--cut\n" + part,
    )
    yield Trick(
        id="epilogue-text",
        lesson=8,
        why="text behind the closing delimiter",
        kind="Content-Type: text/plain",
        encoding="",
        disposition="",
        body="Nothing.",
        epilogue="{payload}",
    )
    yield Trick(
        id="epilogue-uu",
        lesson=7,
        why="a uuencoded file behind the closing delimiter",
        kind="Content-Type: text/plain",
        encoding="",
        disposition="",
        body="Nothing.",
        epilogue="begin 644 {name}\n{binary|uu}\nend",
    )
    yield Trick(
        id="preamble-uu",
        lesson=7,
        why="a uuencoded file in front of the first delimiter",
        preamble="begin 644 {name}\n{binary|uu}\nend",
        kind="Content-Type: text/plain",
        encoding="",
        disposition="",
        body="Nothing.",
    )
    yield Trick(
        id="preamble-header",
        lesson=8,
        why="fields in front of the first delimiter, as if the header went on",
        preamble='Content-Type: multipart/mixed; boundary="other"',
    )
    yield Trick(id="first-part", lesson=8, why="the payload is the first part", companion="", pairs=True)
    yield Trick(id="only-delimiters", lesson=8, why="empty parts all around", companion="\n--cut\n\n--cut\n--cut\n")
    yield Trick(
        id="headerless-part",
        lesson=8,
        why="a part without a header, then a harmless one",
        kind="",
        encoding="",
        disposition="",
        part_gap="\n",
        body="{payload}\n--cut\n" + harmless,
    )
    yield Trick(
        id="glued",
        lesson=8,
        why="the delimiter stands right behind the base64, on its line",
        whole=(
            'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="cut"\n\n--cut\n'
            + part
            + "--cut\n"
            + harmless
            + "\n--cut--\n"
        ),
    )
    yield Trick(
        id="glued-opening",
        lesson=8,
        why="the first delimiter stands at the end of a line of the preamble",
        preamble="A preamble. --cut\n" + part,
        companion="Content-Type: text/plain\n\nNothing.",
        kind="Content-Type: text/plain",
        encoding="",
        disposition="",
        body="Nothing.",
    )
    yield Trick(
        id="in-header",
        lesson=8,
        why="the first delimiter follows the header without an empty line",
        gap="",
        companion="",
    )
    yield Trick(
        id="in-header-twice",
        lesson=8,
        why="the first delimiters follow the header without an empty line",
        gap="",
        pairs=True,
    )
    yield Trick(
        id="boundary-line-in-text",
        lesson=8,
        why="a delimiter in the middle of a text part",
        companion="Content-Type: text/plain\n\n> see --cut\n--cut of meat: a line that begins like one\n--cut-- no more",
    )
    yield Trick(
        id="part-in-text",
        lesson=8,
        why="a text that looks like parts, with a boundary of its own that nobody declared",
        whole=(
            "Subject: crafted\nMIME-Version: 1.0\nContent-Type: text/plain\n\nThis is a multi-part message.\n\n--other\n"
            + part
            + "\n--other--\n"
        ),
    )
    yield Trick(
        id="bounce-in-text",
        lesson=8,
        why="a bounce that gives back the message as text",
        whole=(
            "Subject: failure notice\n\nHi. This is the qmail-send program at example.org.\n\n"
            "--- Below this line is a copy of the message.\n\nReturn-Path: <sender@example.org>\nSubject: crafted\n"
            'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="cut"\n\n--cut\n' + part + "\n--cut--\n"
        ),
    )
    yield Trick(
        id="bounce-in-text-single",
        lesson=8,
        why="a bounce that gives back a message of one part as text",
        whole=(
            "Subject: failure notice\n\nHi. This is the qmail-send program at example.org.\n\n"
            "--- Below this line is a copy of the message.\n\nReturn-Path: <sender@example.org>\nSubject: crafted\n"
            "MIME-Version: 1.0\n" + part + "\n"
        ),
    )
    yield Trick(
        id="undeclared-inner",
        lesson=8,
        why="a part cut by a boundary that only its delimiters know",
        kind="Content-Type: text/plain",
        encoding="",
        disposition="",
        body="--inner\n" + part + "\n--inner--",
    )


def _nests() -> Iterator[Trick]:
    """Parts in parts."""
    part = (
        "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        'Content-Disposition: attachment; filename="{name}"\n\n{binary|base64_lines}'
    )
    inner = [
        ("same-boundary", "an inner multipart with the outer boundary", 'boundary="cut"', f"--cut\n{part}\n--cut--"),
        ("same-unclosed", "the same without its closing delimiter", 'boundary="cut"', f"--cut\n{part}"),
        (
            "prefix-longer",
            "the inner boundary begins with the outer",
            'boundary="cutter"',
            f"--cutter\n{part}\n--cutter--",
        ),
        (
            "prefix-hyphens",
            "the inner boundary looks as if it closed",
            'boundary="cut--x"',
            f"--cut--x\n{part}\n--cut--x--",
        ),
        ("prefix-space", "the inner is the outer and a word", 'boundary="cut in"', f"--cut in\n{part}\n--cut in--"),
        ("prefix-shorter", "the inner boundary is a beginning of the outer", 'boundary="cu"', f"--cu\n{part}\n--cu--"),
        ("case", "the inner is the outer in capitals", 'boundary="CUT"', f"--CUT\n{part}\n--CUT--"),
        ("unclosed", "an inner multipart without closing delimiter", 'boundary="in"', f"--in\n{part}"),
        ("no-parameter", "an inner multipart without boundary", "", f"--cut\n{part}\n--cut--"),
        ("wrong-parameter", "an inner multipart whose delimiters are others", 'boundary="x"', f"--in\n{part}\n--in--"),
        ("never-opened", "an inner multipart with a part but no delimiter", 'boundary="in"', part),
        ("closed-first", "an inner multipart that is closed first", 'boundary="in"', f"--in--\n--in\n{part}\n--in--"),
    ]
    for id_, why, parameters, body in inner:
        yield Trick(
            id=f"nested-{id_}",
            lesson=8,
            why=why,
            kind=f"Content-Type: multipart/mixed; {parameters}",
            body=body,
            encoding="",
            disposition="",
        )
    yield Trick(
        id="nested-unclosed-then-outer",
        lesson=8,
        why="outer delimiters inside an open inner multipart, then inner ones again",
        kind='Content-Type: multipart/mixed; boundary="in"',
        body="--in\nContent-Type: text/plain\n\nx\n--cut\nContent-Type: text/plain\n\ny\n--in\n" + part + "\n--in--",
        encoding="",
        disposition="",
    )
    deep = "".join(f'Content-Type: multipart/mixed; boundary="deep{level}"\n\n--deep{level}\n' for level in range(30))
    yield Trick(
        id="nested-30",
        lesson=10,
        why="30 levels",
        whole="MIME-Version: 1.0\n" + deep + part + "\n" + "".join(f"--deep{level}--\n" for level in range(29, -1, -1)),
    )
    deeper = "".join(
        f'Content-Type: multipart/mixed; boundary="deep{level}"\n\n--deep{level}\n' for level in range(120)
    )
    yield Trick(
        id="nested-120", lesson=10, why="120 levels, none closed", whole="MIME-Version: 1.0\n" + deeper + part + "\n"
    )
    yield Trick(
        id="many-parts",
        lesson=11,
        why="300 parts before the payload's",
        companion="\n--cut\n".join(["\nx"] * 300),
    )


def _messages() -> Iterator[Trick]:
    """Messages in messages, and types that are nearly that."""
    inner = (
        "Subject: inner\nMIME-Version: 1.0\nContent-Type: application/octet-stream\n"
        'Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename="{name}"\n\n{binary|base64_lines}'
    )
    inner_text = "Subject: inner\n\n{payload}"
    for id_, why, kind in [
        ("rfc822", "a message", "message/rfc822"),
        ("rfc822-upper", "a message, in capitals", "MESSAGE/RFC822"),
        ("rfc822-parameters", "a message with parameters", 'message/rfc822; charset=x; name="x.eml"'),
        ("global", "a message of RFC 6532", "message/global"),
        ("news", "a message of RFC 5537", "message/news"),
        ("x-unknown", "a message of no known kind", "message/x-unknown"),
        ("rfc2822", "a message under a name that does not exist", "message/rfc2822"),
        ("no-subtype", "message without subtype", "message"),
        ("text-rfc822", "text that claims to be a message", "text/rfc822"),
        ("headers", "what should be a header alone", "text/rfc822-headers"),
        ("delivery-status", "a status that is a message", "message/delivery-status"),
        ("disposition-notification", "a notification that is a message", "message/disposition-notification"),
        ("partial-1", "the first fragment of a message", "message/partial; id=x; number=1; total=2"),
        ("partial-2", "a later fragment", "message/partial; id=x; number=2; total=2"),
        ("partial-whole", "a fragment that is all", "message/partial; id=x; number=1; total=1"),
        ("external-body", "a body that is elsewhere, and here", "message/external-body; access-type=local-file"),
        ("http", "a message of the web", "message/http"),
        ("x-eml", "a file that is a message", 'application/octet-stream; name="x.eml"'),
    ]:
        yield Trick(
            id=f"message-{id_}",
            lesson=9,
            why=why,
            kind=f"Content-Type: {kind}",
            body=inner,
            encoding="",
            disposition="",
        )
    yield Trick(
        id="message-two-deep",
        lesson=9,
        why="a message in a message",
        kind="Content-Type: message/rfc822",
        body="Content-Type: message/rfc822\n\n" + inner,
        encoding="",
        disposition="",
    )
    yield Trick(
        id="message-leading-blank",
        lesson=9,
        why="a message that begins with an empty line",
        kind="Content-Type: message/rfc822",
        body="\n" + inner,
        encoding="",
        disposition="",
    )
    yield Trick(
        id="message-mbox-from",
        lesson=9,
        why="a message that begins with an mbox's line",
        kind="Content-Type: message/rfc822",
        body="From sender@example.org Fri Mar  1 12:00:00 2024\n" + inner,
        encoding="",
        disposition="",
    )
    yield Trick(
        id="message-no-header",
        lesson=9,
        why="a message without a header",
        kind="Content-Type: message/rfc822",
        body="\n{payload}",
        encoding="",
        disposition="",
    )
    yield Trick(
        id="message-part-header",
        lesson=9,
        why="the header of the part goes on in the message: no empty line between",
        kind="Content-Type: message/rfc822",
        part_gap="",
        body=inner,
        encoding="",
        disposition="",
    )
    for id_, kind in [("digest", "multipart/digest"), ("digest-upper", "Multipart/DIGEST")]:
        yield Trick(
            id=f"{id_}-default",
            lesson=8,
            why="in a digest a part without a type is a message",
            container=f'Content-Type: {kind}; boundary="cut"',
            kind="",
            encoding="",
            disposition="",
            part_gap="\n",
            body=inner,
        )
    yield Trick(
        id="digest-text",
        lesson=8,
        why="in a digest, a message of text alone",
        container='Content-Type: multipart/digest; boundary="cut"',
        kind="",
        encoding="",
        disposition="",
        part_gap="\n",
        body=inner_text,
    )
    yield Trick(
        id="digest-typed",
        lesson=8,
        why="in a digest, a part that says what it is",
        container='Content-Type: multipart/digest; boundary="cut"',
    )
    encoded_message = (
        "U3ViamVjdDogaW5uZXIKQ29udGVudC1UeXBlOiBhcHBsaWNhdGlvbi9vY3RldC1zdHJlYW0KQ29udGVudC1UcmFuc2Zlci1FbmNvZGluZzog"
        "YmFzZTY0Cgo="
    )  # Subject, Content-Type, Content-Transfer-Encoding: base64, empty line: a multiple of three bytes
    yield Trick(
        id="message-base64",
        lesson=9,
        why="a message in base64, which RFC 2046 forbids",
        kind="Content-Type: message/rfc822",
        disposition="",
        body=encoded_message + "\n{binary|base64_twice}",
    )
    yield Trick(
        id="message-base64-text",
        lesson=9,
        why="a message of text alone in base64",
        kind="Content-Type: message/rfc822",
        disposition="",
        body="U3ViamVjdDogaW5uZXIKCgo=\n{payload|base64_lines}",
    )
    yield Trick(
        id="message-quoted-printable",
        lesson=9,
        why="a message in quoted-printable, which RFC 2046 forbids",
        kind="Content-Type: message/rfc822",
        encoding="Content-Transfer-Encoding: quoted-printable",
        disposition="",
        body="Subject: inner=0AContent-Type: text/plain=0A=0A{payload|qp_all}",
    )
    yield Trick(
        id="message-global-base64",
        lesson=9,
        why="a message of RFC 6532 in base64, which is allowed",
        kind="Content-Type: message/global",
        disposition="",
        body=encoded_message + "\n{binary|base64_twice}",
    )
    yield Trick(
        id="multipart-base64",
        lesson=8,
        why="a multipart in base64, which RFC 2045 forbids",
        kind='Content-Type: multipart/mixed; boundary="in"',
        disposition="",
        body="{binary|multipart_base64}",
    )
    yield Trick(
        id="multipart-quoted-printable",
        lesson=8,
        why="a multipart in quoted-printable, its delimiters escaped",
        kind='Content-Type: multipart/mixed; boundary="in"',
        encoding="Content-Transfer-Encoding: quoted-printable",
        disposition="",
        body="=2D-in\nContent-Transfer-Encoding: base64=0A=0A{binary|base64_one_line}\n=2D-in--",
    )
    yield Trick(
        id="multipart-says-base64",
        lesson=8,
        why="a multipart that says base64 and is not",
        container='Content-Type: multipart/mixed; boundary="cut"\nContent-Transfer-Encoding: base64',
    )
    yield Trick(
        id="multipart-says-quoted-printable",
        lesson=8,
        why="a multipart that says quoted-printable and is not",
        container='Content-Type: multipart/mixed; boundary="cut"\nContent-Transfer-Encoding: quoted-printable',
    )
    yield Trick(
        id="multipart-says-uuencode",
        lesson=8,
        why="a multipart that says x-uuencode and is not",
        container='Content-Type: multipart/mixed; boundary="cut"\nContent-Transfer-Encoding: x-uuencode',
    )
    yield Trick(
        id="encoding-inherited",
        lesson=8,
        why="the encoding stands in the header of the message, not in the part's",
        container='Content-Type: multipart/mixed; boundary="cut"\nContent-Transfer-Encoding: base64',
        encoding="",
    )


TRICKS = [*_boundaries(), *_types(), *_delimiters(), *_places(), *_nests(), *_messages()]
