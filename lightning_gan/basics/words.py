"""What was meant by a word that nothing is called: the nearest of those that there are."""

import difflib
from collections.abc import Iterable

from lightning_gan.errors import ConfigurationError


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like ``word``, whatever its case; None if none is near."""
    by_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_case, 1, cutoff)
    return by_case[near[0]] if near else None


def unknown(what: str, word: str, known: Iterable[str]) -> ConfigurationError:
    """The error that there is no such thing of that name."""
    return ConfigurationError(f"There is no {what} {word}: {did_you_mean(word, known)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Ends a sentence with the nearest of the known words, or with all of them."""
    known = list(known)
    near = nearest(word, known)
    return f"did you mean {near}?" if near else f"there are {', '.join(known)}."
