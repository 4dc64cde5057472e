"""Documentation as a terminal shows it: without the marks of reStructuredText and LaTeX."""

import re

GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "varsigma sigma tau upsilon phi chi psi omega"
)
LETTERS = {name: chr(0x3B1 + number) for number, name in enumerate(GREEK.split())}
SIGNS = LETTERS | {
    "partial": "d",
    "nabla": "grad_",
    "cdot": "·",
    "times": "×",
    "odot": "·",
    "pm": "±",
    "lVert": "|",
    "rVert": "|",
    "Vert": "|",
    "langle": "<",
    "rangle": ">",
    "top": "T ",
    "infty": "∞",
    "dots": "...",
    "quad": "\0",
}
RELATIONS = {
    "le": "<=",
    "leq": "<=",
    "ge": ">=",
    "geq": ">=",
    "ne": "!=",
    "sim": "~",
    "approx": "≈",
    "in": "in",
    "to": "->",
    "mid": "|",
}
"""What stands for a command of LaTeX, close or between spaces; others are their own names."""

FONT = re.compile(r"\\(?:math(?:bb|bf|cal|rm|rel|sf|it)|text|operatorname)\s*(?:\{([^{}]*)\}|(\w))")
SIZE = re.compile(r"\\(?:[bB]igg?[lr]?|left|right)(?![a-zA-Z])")
FRACTION = re.compile(r"\\[td]?frac\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))")
OVER = re.compile(r"\\(bar|hat|tilde)\s*(?:\{([^{}]*)\}|(\w))")
AROUND = re.compile(r"(\\(?![td]?frac)[a-zA-Z]+)\s*\{([^{}]*)\}")
INDEX = re.compile(r"([_^])\{([^{}]*)\}")
COMMAND = re.compile(r"\\([a-zA-Z]+) *")

MATH = re.compile(r":math:`([^`]*)`")
ROLE = re.compile(r":[\w:]+:`([^`]*)`")
LINK = re.compile(r"`([^`<]*?)\s*<[^`>]*>`_+")
TARGET = re.compile(r"^[ ]*\.\. _[^\n]*\n?(?:[ ]+https?://\S+\n?)?", re.MULTILINE)
FORMULA = re.compile(r"^([ ]*)\.\. math::(.*\n?(?:\1[ ]+\S.*\n?|[ ]*\n(?=\1 ))*)", re.MULTILINE)
CODE = re.compile(r"^[ ]*\.\. (?:code(?:-block)?|testcode)::.*\n", re.MULTILINE)
DIRECTIVE = re.compile(r"\.\. ([\w-]+)::[ ]*")


def plain(text: str) -> str:
    """A documentation without marks; a formula is a line, and an algorithm in LaTeX is left out."""
    text = TARGET.sub("", text)
    text = FORMULA.sub(_displayed, text)
    text = MATH.sub(lambda found: _formula(found[1]), text)
    text = CODE.sub("", text)
    text = DIRECTIVE.sub(lambda found: f"{found[1].capitalize()}: ", text)
    text = ROLE.sub(lambda found: _referred(found[1]), text)
    text = LINK.sub(r"\1", text)
    text = re.sub(r"`([^`]+)`_+", r"\1", text).replace("`", "")
    return re.sub(r"(?<=\S)::(?=\n|$)", ":", text)


def _referred(target: str) -> str:
    """What a reference reads as: its title, or the last part of a dotted path after a tilde."""
    title = target.partition("<")[0].strip()
    return title[1:].rpartition(".")[2] if title.startswith("~") else title


def _displayed(found: re.Match[str]) -> str:
    return "" if "\\begin" in found[2] else f"{found[1]}    {_formula(found[2])}\n"


def _formula(text: str) -> str:
    """A formula in letters and signs."""
    text, before = SIZE.sub("", re.sub(r"\\[,;: ]", " ", text)).replace("\\!", ""), ""
    text = text.replace("\\{", "(").replace("\\}", ")")
    while text != before:  # from what stands innermost
        before = text
        text = FONT.sub(_font, text)
        text = OVER.sub(lambda found: f"{found[2] or found[3]}_{found[1]}", text)
        text = INDEX.sub(_index, text)
        text = FRACTION.sub(_fraction, text)
        text = AROUND.sub(r"\1(\2)", text)
    text = COMMAND.sub(_command, text)
    text = re.sub(r"\s+", " ", text.replace("{", "(").replace("}", ")").replace("\\", ""))
    return text.replace("grad_ ", "grad ").replace("grad__", "grad_").replace("\0", "  ").strip()


def _command(found: re.Match[str]) -> str:
    name, following = found[1], found.string[found.end() : found.end() + 1]
    if name in RELATIONS:
        return f" {RELATIONS[name]} "
    if name in SIGNS:
        return SIGNS[name] + (" " if name == "nabla" and following.isalpha() else "")
    return name if following in ("_", "^", "(", "[") else f"{name} "


def _font(found: re.Match[str]) -> str:
    """A letter or word in another font, apart from a command that it follows at once."""
    apart = " " if found.string[: found.start()][-1:].isalpha() else ""
    return apart + (found[1] or found[2])


def _index(found: re.Match[str]) -> str:
    return found[1] + (found[2] if found[2].isalnum() else f"({found[2]})")


def _fraction(found: re.Match[str]) -> str:
    over, under = found[1] or found[2], found[3] or found[4]
    if over.isdecimal() and under.isdecimal():
        return f"{over}/{under} "
    return f"({_together(over)} / {_together(under)}) "


def _together(text: str) -> str:
    return text if text.isalnum() else f"({text})"
