"""Words of a message that may be the password of an archive in it."""

import re
from collections.abc import Iterable

_SAID = re.compile(
    r"(?:pass ?words?|pass ?wort|kenn ?wort|pass ?code|pwd|mot de passe|contrase\w+|senha|wachtwoord|has[lł]o|parol\w*|пароль|code|pin|pw)"
    r"[^\w\n]{0,3}(?:is|ist|est|es|lautet|:|=|-|–)?[\s:=\"'«»“”‘’*<>()\[\]-]{0,12}(\S{1,64})",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"'«»“”‘’„`\[(<]([^\s\"'«»“”‘’„`\])>]{3,64})[\"'«»“”‘’`\])>]")
_WORD = re.compile(r"\S{4,64}")
_AROUND = ".,;:!?\"'«»“”‘’„`*<>()[]{}"
_WELL_KNOWN = ("infected", "virus", "malware", "password", "1234", "123456")
MAX_TEXT_CHARACTERS = 100_000


def candidate_passwords(texts: Iterable[str], max_count: int) -> tuple[str, ...]:
    """The likeliest first: what is said to be one, what stands in quotes, words with digits or marks in them, the rest.

    Args:
        texts: subject and text parts, decoded.
        max_count: each is tried on each encrypted container, so there is a limit.
    """
    joined = "\n".join(texts)[:MAX_TEXT_CHARACTERS]
    words = [word.strip(_AROUND) for word in _WORD.findall(joined)]
    found: dict[str, None] = {}
    for match in _SAID.finditer(joined):
        found[match[1]] = None
        found[match[1].strip(_AROUND)] = None
    found.update(dict.fromkeys(match[1] for match in _QUOTED.finditer(joined)))
    found.update(dict.fromkeys(_WELL_KNOWN))
    found.update(dict.fromkeys(word for word in words if not word.isalpha()))
    found.update(dict.fromkeys(words))
    return tuple(word for word in found if word)[:max_count]
