"""Texts from files, made harmless for a terminal."""


def printable(text: str) -> str:
    r"""``text`` with everything that is no visible character or space as its escape.

    Control characters would move the cursor or recolour a terminal, and lone surrogates cannot be
    written at all.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def shortened(text: str, most: int) -> str:
    """``text``, printable, with an ellipsis for what is beyond ``most`` characters."""
    text = printable(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
