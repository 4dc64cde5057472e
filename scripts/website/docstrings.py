"""Docstrings as the site shows them: the few roles and formulas of theirs that are no Markdown.

An extension of Griffe (https://mkdocstrings.github.io/griffe/extensions/), which reads them.
"""

import re
import textwrap

import griffe
from latex2mathml.converter import convert

from lightning_gan.cli.markup import FORMULA, MATH

ROLE = re.compile(r":(?:class|func|meth):`(~?)([^`]*)`")


def as_markdown(text: str) -> str:
    """A docstring with formulas as MathML and names as links."""
    text = FORMULA.sub(lambda found: displayed(found[1], found[2]), text)
    text = MATH.sub(lambda found: convert(" ".join(found[1].split())), text)
    return ROLE.sub(lambda found: link(found[2], short=bool(found[1])), text)


def displayed(indent: str, formula: str) -> str:
    """A formula in a paragraph of its own."""
    math = convert(" ".join(textwrap.dedent(formula).split()), display="block")
    return f'{indent}<div class="formula">{math}</div>\n\n'


def link(path: str, short: bool) -> str:
    """A name that leads to where it is explained, if it is."""
    name = path.rpartition(".")[2] if short else path
    return f'<autoref optional identifier="{path}">`{name}`</autoref>'


class Markup(griffe.Extension):
    """Turns every docstring that is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Turns that of an object."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
