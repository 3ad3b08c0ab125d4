"""data: URLs in a text, as browsers read them."""

import base64
import random
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_unpacker.dissection.wrapped import data_urls
from qscan_unpacker.dissection.wrapped.wrapped_file import TooManyFilesError

DATA = random.Random(4).randbytes(100)
BASE64 = base64.b64encode(DATA)


def contents(text: bytes) -> list[bytes]:
    """The decoded contents, in order."""
    return [b"".join(one.pieces) for one in data_urls.find(text)]


def names(text: bytes) -> list[tuple[str, ...]]:
    """The names, in order."""
    return [one.names for one in data_urls.find(text)]


@pytest.mark.parametrize(
    "before_after",
    [
        (b'<img src="', b'">'),
        (b"<img src='", b"'>"),
        (b"<img src=", b">"),
        (b"<img src=", b" width=1>"),
        (b"<p style='background:url(", b")'>"),
        (b"<p style=\"background:url('", b"')\">"),
        (b'<p style="background:url(&quot;', b'&quot;)">'),
        (b'<p style="background:url(&#34;', b'&#34;)">'),
        (b"a{background:url(", b")}"),
        (b'{"src": "', b'", "x": 1}'),
        (b"In words: ", b" and so on."),
        (b"", b""),
        (b"<", b">"),
    ],
)
@pytest.mark.parametrize("size", [100, 99, 98])
def test_base64_wherever_it_stands(before_after: tuple[bytes, bytes], size: int) -> None:
    """In attributes, style sheets, scripts and sentences, with and without padding."""
    before, after = before_after
    url = b"data:image/png;base64," + base64.b64encode(DATA[:size])
    [found] = data_urls.find(before + url + after)
    assert (found.kind, found.offset, found.length, found.complete) == ("data_url", len(before), len(url), True)
    assert found.names == ()
    assert b"".join(found.pieces) == DATA[:size]


@pytest.mark.parametrize(
    "url",
    [
        b"DATA:image/png;base64," + BASE64,
        b"dA\r\ntA\t:image/png;base64," + BASE64,
        b"data:;base64," + BASE64,
        b"data:image/png;charset=x;BASE64," + BASE64,
        b"data:image/png; base64 ," + BASE64,
        b"data: image/png;base64," + BASE64,
        b"data:image/svg+xml;name=x.svg;base64," + BASE64,
        b"data:nonsense;base64," + BASE64,
        b"data:image/png;base64," + b"\r\n ".join(BASE64[at : at + 20] for at in range(0, len(BASE64), 20)),
        b"data:image/png;base64," + quote_from_bytes(BASE64, safe=b"").encode(),
        b"data:image/png;base64," + BASE64.replace(b"=", b"&#61;").replace(b"+", b"&plus;").replace(b"/", b"&#x2F;"),
        b"data:image/png;base64," + b"".join(b"&#%d;" % byte for byte in BASE64),
        b"data:image/png;base64," + b"&NewLine;".join([BASE64[:10], BASE64[10:]]),
        b"data&colon;image/png;base64," + BASE64,
        b"data&#58;image/png;base64," + BASE64,
        b"data&#x3a;image/png;base64," + BASE64,
        b"d&#97;t&#0000097:image/png;base64," + BASE64,
        b"&#68;&#x41;&#84;&#x0041;&#x3A;image/png;base64," + BASE64,
        b"da&Tab;ta&NewLine;:image/png;base64," + BASE64,
        b"d&#10;at&#x09;a:image/png;base64," + BASE64,
    ],
)
def test_base64_as_browsers_read_it(url: bytes) -> None:
    """In any case, with white space, percent-encoding and character references in the attribute of a tag."""
    assert contents(b'<a href="' + url + b'">') == [DATA]


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (b'<a href="data:text/html,<b>it\'s (x)</b>">', b"<b>it's (x)</b>"),
        (b"<a href='data:text/html,<b>\"x\"</b>'>", b'<b>"x"</b>'),
        (b"<a href=data:text/html,<script>x('y')</script>>z", b"<script"),
        (b"<a href=data:text/html,alert('y') title=z>", b"alert('y')"),
        (b'<a href="data:text/html,%3Cb%3E%41&lt;&#x26;&eacute;">', b"<b>A<&\xc3\xa9"),
        (b'<a href="data:text/html,a\r\n\tb c">', b"ab c"),
        (b'<a href="data:,hello">', b"hello"),
        (b'<a href="data:;charset=utf-8,hello">', b"hello"),
        (b'<a href="data:text/html,no closing mark', b"no"),
        (b"a{background:url(data:image/svg+xml,%3Csvg%3E)}", b"<svg>"),
        (b'<p style="background:url(&quot;data:image/svg+xml,%3Csvg%3E&quot;)">', b"<svg>"),
        (b'<a href="data:text/html,' + b"%41" * 200_000 + b'">', b"A" * 200_000),
        (b'<a href="data:text/html,' + b"&#65;" * 200_000 + b'">', b"A" * 200_000),
        (b'<a href="data:text/html,%&#37;4%4">', b"%%4%4"),
    ],
)
def test_content_that_is_not_base64(text: bytes, content: bytes) -> None:
    """Character references and then percent-encoding decoded; it ends where the attribute does."""
    assert contents(text) == [content]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"data:",
        b"The data: all of it, in order.",
        b"The data:all,in order",
        b"Meta-data:text/html, and more",
        b'<p title="data: a, b">',
        b'<p title="data:a b,c">',
        b"data:image/png;base64",
        b'{"data":[1,2],"x":{"data":{},"y":1}}',
        b'<img src="cid:data">',
        b"<data:",
    ],
)
def test_no_url(text: bytes) -> None:
    """Sentences and scripts have the word, a colon and a comma, too."""
    assert contents(text) == []


def test_several_urls() -> None:
    """Those in a content that is no base64 are that content's own."""
    one, two = b"data:image/png;base64," + BASE64, b"data:text/html,<img src='data:,x'>"
    text = b'<img src="' + one + b'"><a href="' + two + b'"><img src="' + one + b'">'
    assert contents(text) == [DATA, b"<img src='data:,x'>", DATA]


def test_sentence_in_front_hides_nothing() -> None:
    """What only looks like a beginning does not take a real one with it."""
    url = b'<img src="data:image/png;base64,' + BASE64 + b'">'
    for before in (b"<p>(data: ", b"<p>data:;x ", b"<p>'data:x ", b"<p>(data:;base64,", b"data:" * 2_000):
        assert DATA in contents(before + url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'<a href="data:text/html;name=x.html,y">', ("x.html",)),
        (b"<a href='data:text/html;filename=\"my%20file.html\";base64,eA=='>", ('"my file.html"', "my file.html")),
        (b'<a download="x.exe" href="data:;base64,eA==">', ("x.exe",)),
        (b"<a href='data:;base64,eA==' class=c download='x &amp; y.exe'>", ("x & y.exe",)),
        (b"<a href=data:;base64,eA== download=x.exe>", ("x.exe",)),
        (b'<a download href="data:;base64,eA==">', ()),
        (b'<a download="other.exe"><img src="data:;base64,eA==">', ()),
    ],
)
def test_names(text: bytes, expected: tuple[str, ...]) -> None:
    """From parameters, and from ``download=`` of the same tag: that is what a browser saves it as."""
    assert names(text) == [expected]


def test_too_many_beginnings_are_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with nothing but the scheme is given up by name."""
    monkeypatch.setattr(data_urls, "MAX_OPENINGS_IN_TEXT", 100)
    assert contents(b"data: " * 100 + b",") == []
    with pytest.raises(TooManyFilesError):
        contents(b"data: " * 101 + b",")


@given(st.lists(st.sampled_from([*b"\"'<>(),;=&% \n", b"data:", b"DATA:", b"&#58;", b"base64", b"text/html", b"eA=="])))
def test_any_order_ends(words: list[bytes | int]) -> None:
    """Whatever stands where, nothing fails, and URLs lie within the text, one behind the other."""
    text = b"".join(word if isinstance(word, bytes) else bytes([word]) for word in words)
    end = 0
    for one in data_urls.find(text):
        assert end <= one.offset <= one.offset + one.length <= len(text)
        end = one.offset + one.length
        b"".join(one.pieces)
