"""What the site has beside docs/: README, contributing, changelog, the files they link, the API.

A hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks). Pages keep the links
that they have on a forge, which are relative to where each file lies in the repository; here they
are turned to where the files lie on the site.
"""

import ast
import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    ".github/CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages that lie elsewhere than in docs/, and what they are called on the site."""
MODULES = (
    "lightning_gan",
    *(
        f"lightning_gan.{room}"
        for room in (
            "objectives",
            "regularizers",
            "networks",
            "augment",
            "datamodules",
            "metrics",
            "callbacks",
        )
    ),
)
"""The modules that are public and stable."""
LINK = re.compile(r"(?P<before>\]\()(?P<target>[^()\s]+)(?P<after>\))")
FENCE = re.compile(r"^(```+).*?^\1\s*$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside of docs/, what they and others link, and the API."""
    for source, name in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    for module in MODULES:
        files.append(File.generated(config, f"api/{module.split('.')[-1]}.md", content=api(module)))
    files.append(File.generated(config, "api/index.md", content=api_index()))
    for path in linked_files(files):
        files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns the links of a page to where their targets lie on the site."""
    return "".join(
        part if is_code else LINK.sub(lambda link: turned(link, page.file.src_uri), part)
        for part, is_code in split_at_code(markdown)
    )


def turned(link: re.Match[str], page: str) -> str:
    """A link of a page as it is on the site."""
    address = urlsplit(link["target"])
    if address.scheme or not address.path:
        return link[0]
    target = site_path(in_repository(address.path, page))
    relative = os.path.relpath(target, PurePosixPath(page).parent)
    return f"{link['before']}{address._replace(path=relative).geturl()}{link['after']}"


def in_repository(path: str, page: str) -> str:
    """Where in the repository a relative link of a page leads."""
    homes = {name: source for source, name in PAGES.items()}
    folder = PurePosixPath(homes.get(page, f"docs/{page}")).parent
    return os.path.normpath(folder / path)


def site_path(path: str) -> str:
    """Where on the site a file of the repository lies."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path.lstrip('.')}"


def linked_files(files: Files) -> set[str]:
    """The files outside of docs/, no pages, that a page links."""
    found = set()
    for file in files.documentation_pages():
        for text, is_code in split_at_code(file.content_string):
            targets = [] if is_code else [urlsplit(link["target"]) for link in LINK.finditer(text)]
            paths = [t.path for t in targets if t.path and not t.scheme]
            found |= {in_repository(path, file.src_uri) for path in paths}
    return {
        path
        for path in found
        if path not in PAGES and not path.startswith(("docs/", "..")) and (ROOT / path).is_file()
    }


def split_at_code(text: str) -> list[tuple[str, bool]]:
    """A page in pieces, each with whether it is a block of code, in which nothing is a link."""
    pieces, end = [], 0
    for block in FENCE.finditer(text):
        pieces += [(text[end : block.start()], False), (block[0], True)]
        end = block.end()
    return [*pieces, (text[end:], False)]


def tree(module: str) -> ast.Module:
    """What stands in the file of a package."""
    path = ROOT.joinpath(*module.split(".")) / "__init__.py"
    return ast.parse(path.read_text(encoding="utf-8"))


def offered(module: str) -> list[str]:
    """The names that a module offers: those that it imports as themselves, in its order."""
    imports = [node for node in ast.walk(tree(module)) if isinstance(node, ast.ImportFrom)]
    names = [name for node in imports for name in node.names]
    return [name.name for name in names if name.name == name.asname and name.name[0] != "_"]


def api(module: str) -> str:
    """The page of a module, with what it offers from its docstrings."""
    parts = "\n\n".join(f"::: {module}.{name}" for name in offered(module))
    title, about = module.split(".")[-1], ast.get_docstring(tree(module))
    return f"# {title}\n\n{about}\n\n```python\nimport {module}\n```\n\n{parts}\n"


def api_index() -> str:
    """A table of all modules and what they offer."""
    lines = ["# API", "", "These modules are public and stable; files inside them may move.", ""]
    for module in MODULES:
        page = f"{module.split('.')[-1]}.md"
        names = ", ".join(f"[`{name}`][{module}.{name}]" for name in offered(module))
        lines += [f"## [{module}]({page})", "", f"{ast.get_docstring(tree(module))}", "", names, ""]
    return "\n".join(lines)
