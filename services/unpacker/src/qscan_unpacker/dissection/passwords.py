"""Words of a message that may be the password of an archive in it."""

import re
from collections.abc import Iterable

_WORDS_FOR_IT = (
    "pass ?words?|pass ?wort|kenn ?wort|pass ?code|pwd|mot de passe|contrase\\w{1,4}|senha|wachtwoord|has[l\u0142]o"
    "|parol\\w?|\u043f\u0430\u0440\u043e\u043b\u044c|code|pin|pw"
)
_MARKS = ".,;:!?\"'*<>()[]{}`\u00ab\u00bb\u201c\u201d\u201e\u2018\u2019\u2013-"
_SAID = re.compile(
    rf"(?:{_WORDS_FOR_IT})[^\w\n]{{0,3}}(?:is|ist|est|es|lautet)?[\s={re.escape(_MARKS)}]{{0,12}}(\S{{1,64}})",
    re.IGNORECASE,
)
_QUOTED = re.compile(rf"[{re.escape(_MARKS)}]([^\s{re.escape(_MARKS)}]{{3,64}})[{re.escape(_MARKS)}]")
_PHRASE = re.compile('["\u201c\u201d\u201e\u00ab]([^"\u201c\u201d\u00bb\n]{3,64})["\u201c\u201d\u00bb]')
_WORD = re.compile(r"\S{4,64}")
_WELL_KNOWN = ("infected", "virus", "malware", "password", "1234", "123456")
"""What people who exchange samples and people without ideas take."""
MAX_TEXT_CHARACTERS = 100_000


def candidate_passwords(texts: Iterable[str], max_count: int) -> tuple[str, ...]:
    """The likeliest first: what is said to be one, what stands in quotes, words with digits or marks in them, the rest.

    Args:
        texts: subject and text parts, decoded.
        max_count: each is tried on each encrypted container, so there is a limit.
    """
    joined = "\n".join(texts)[:MAX_TEXT_CHARACTERS]
    words = [word.strip(_MARKS) for word in _WORD.findall(joined)]
    found: dict[str, None] = {}
    for match in _SAID.finditer(joined):
        found[match[1]] = None
        found[match[1].strip(_MARKS)] = None
    found.update(dict.fromkeys(match[1] for quoted in (_QUOTED, _PHRASE) for match in quoted.finditer(joined)))
    found.update(dict.fromkeys(_WELL_KNOWN))
    found.update(dict.fromkeys(word for word in words if not word.isalpha()))
    found.update(dict.fromkeys(words))
    return tuple(word for word in found if word)[:max_count]
