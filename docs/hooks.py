"""What the pages take from the repository: other files' text, the commands' help, checked links."""

import argparse
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from hearaudiomlp.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
log = logging.getLogger("mkdocs")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill in included files and help texts, and settle links to files outside docs/."""
    source = f"docs/{page.file.src_uri}"
    if included := re.fullmatch(r"<!-- include: (\S+) -->", markdown.strip()):
        source = posixpath.normpath(posixpath.join("docs", included[1]))
        markdown = (ROOT / source).read_text(encoding="utf-8")
    markdown = re.sub(r"<!-- help: (\w+) -->", lambda found: _help(found[1]), markdown)
    return LINK.sub(lambda link: _settle(link, source, page.file.src_uri), markdown)


def _help(name: str) -> str:
    command = next(command for command in COMMANDS if name == command.NAME)
    parser = argparse.ArgumentParser(f"hearaudiomlp {name}", description=command.HELP)
    command.add_arguments(parser)
    return f"```text\n{parser.format_help()}```"


def _settle(link: re.Match[str], source: str, page: str) -> str:
    """Rewrite a link for the page that it's on; name the file where it isn't on the site."""
    image, text, target, anchor = link.groups()
    if re.match(r"[a-z]+:", target):
        return link[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).exists():
        log.warning("%s links to %s, which doesn't exist", source, target)
    if path.startswith("docs/"):
        there = posixpath.relpath(path.removeprefix("docs/"), posixpath.dirname(page) or ".")
        return f"{image}[{text}]({there}{anchor or ''})"
    return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}`)"
