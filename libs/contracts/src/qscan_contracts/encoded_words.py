"""Encoded words (RFC 2047) of hostile headers, in linear time. Not `email.header`, which is quadratic and raises."""

import binascii
import re

# Neither the charset nor the text of an encoded word has a question mark (RFC 2047 §2), so nothing is scanned twice.
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*)\?=")
_WORDS = re.compile(r"=\?[^?\s]{1,64}\?[bBqQ]\?[^?]*\?=(?:[ \t]*=\?[^?\s]{1,64}\?[bBqQ]\?[^?]*\?=)*+")
_NOT_DIGITS = re.compile(rb"[^A-Za-z0-9+/]+")
_HEX_PAIR = re.compile(rb"=([0-9A-Fa-f]{2})")
# What mail is written in. Others are not looked up: some of Python's codecs are no charsets, some take quadratic time,
# and every unknown name would stay in the memory of the codec registry for ever.
_CHARSET = re.compile(
    r"(unicode-1-1-)?utf[-_]?(7|8|(16|32)([-_]?[lb]e)?)|(us[-_])?ascii|iso[-_]?8859[-_]?\d{1,2}|koi8[-_][rut]"
    r"|(cp|ibm|windows[-_]?)\d{3,4}"
    r"|gb2312|gbk|gb18030|big5|euc[-_](jp|kr)|shift[-_]jis|iso[-_]2022[-_](jp|kr)|latin[-_]?1|tis[-_]620|mac(intosh|[-_]?roman)",
    re.IGNORECASE,
)


def decode_words(text: str, *, whole_groups: bool = False) -> str:
    """`text` with its encoded words decoded; what cannot be decoded stays as it is. Never raises.

    White space between two words is none of the text (RFC 2047 §6.2). A character may be split between two words of one
    charset, which §5 forbids and most readers put together.

    Args:
        text: one line.
        whole_groups: drop an incomplete group of base64, as some readers do.
    """
    if "=?" not in text:
        return text
    return _WORDS.sub(lambda run: _decode_run(run[0], whole_groups=whole_groups), text)


def _decode_run(run: str, *, whole_groups: bool) -> str:
    """Adjacent words; the bytes of those in one charset are joined before they become text."""
    decoded: list[tuple[str, bytes]] = []
    for charset, encoding, encoded in _ENCODED_WORD.findall(run):
        content = _content(encoding, encoded.encode("utf-8", "replace"), whole_groups=whole_groups)
        if content is None:
            return run
        name = charset.partition("*")[0]  # RFC 2231 §5: a language may follow
        if decoded and decoded[-1][0] == name:
            content = decoded.pop()[1] + content
        decoded.append((name, content))
    return "".join(decode_charset(content, charset) for charset, content in decoded)


def _content(encoding: str, encoded: bytes, *, whole_groups: bool) -> bytes | None:
    if encoding in "Qq":
        return _HEX_PAIR.sub(lambda pair: bytes([int(pair[1], 16)]), encoded.replace(b"_", b" "))
    runs = _NOT_DIGITS.split(encoded)
    if not any(len(run) > 1 for run in runs):
        return None if any(runs) else b""
    return b"".join(_decode_base64(run, whole_groups=whole_groups) for run in runs)


def _decode_base64(run: bytes, *, whole_groups: bool) -> bytes:
    """A run of digits without padding; a single left-over digit holds no whole byte."""
    left = len(run) % 4
    if left == 1 or whole_groups:
        run = run[: len(run) - left]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def decode_charset(content: bytes, charset: str = "utf-8") -> str:
    """`content` in `charset`; in Latin-1, which can read everything, where no mail is written in that. Never raises.

    The result can be encoded as UTF-8: it has no lone surrogates.
    """
    if _CHARSET.fullmatch(charset):
        try:
            # UTF-7 can spell half a character, which nothing could carry on.
            return content.decode(charset).encode("utf-8", errors="replace").decode()
        except (LookupError, UnicodeDecodeError):
            pass
    return content.decode("latin-1")
