"""Encoded words (RFC 2047) of hostile headers, in linear time. Not `email.header`, which is quadratic and raises."""

import binascii
import re

# Neither the charset nor the text of an encoded word has a question mark (RFC 2047 §2), so nothing is scanned twice.
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_ENCODED_WORDS = re.compile(r"(?<=\?=)[ \t]+(?==\?)")
_HEX_PAIR = re.compile(rb"=([0-9A-Fa-f]{2})")
# What mail is written in. Others are not looked up: some of Python's codecs are no charsets, some take quadratic time,
# and every unknown name would stay in the memory of the codec registry for ever.
_CHARSET = re.compile(
    r"utf[-_]?(7|8|(16|32)([-_]?[lb]e)?)|(us[-_])?ascii|iso[-_]?8859[-_]?\d{1,2}|(cp|windows[-_]?)\d{3,4}|koi8[-_][rut]"
    r"|gb2312|gbk|gb18030|big5|euc[-_](jp|kr)|shift[-_]jis|iso[-_]2022[-_](jp|kr)|latin[-_]?1|tis[-_]620|mac(intosh|[-_]?roman)",
    re.IGNORECASE,
)


def decode_words(text: str) -> str:
    """`text` with its encoded words decoded; what cannot be decoded stays as it is. Never raises."""
    if "=?" not in text:
        return text
    return _ENCODED_WORD.sub(_decode_word, _BETWEEN_ENCODED_WORDS.sub("", text))


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, encoded = match[1].partition("*")[0], match[2].upper(), match[3].encode("utf-8", "replace")
    if encoding == "Q":
        content = _HEX_PAIR.sub(lambda pair: bytes([int(pair[1], 16)]), encoded.replace(b"_", b" "))
    else:
        try:
            content = binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4))
        except binascii.Error:
            return match[0]
    return decode_charset(content, charset)


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
