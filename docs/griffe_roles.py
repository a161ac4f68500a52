"""Show the roles of docstrings (``:class:`Model```) as links on the pages of the API."""

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`(?:([^`<]+)<([^`]+)>|~?([^`]+))`")


def _link(role: re.Match[str], inside: Object) -> str:
    text, target, name = role.groups()
    path = target or name
    for scope in (inside, *_scopes(inside)):
        try:
            found = scope.resolve(path.split(".", maxsplit=1)[0])
        except Exception:
            continue
        path = ".".join([found, *path.split(".")[1:]])
        break
    label = (text or name.rpartition(".")[2]).strip()
    return f'<autoref identifier="{path}" optional><code>{label}</code></autoref>'


def _scopes(inside: Object) -> list[Object]:
    scopes = []
    while inside.parent is not None:
        inside = inside.parent
        scopes.append(inside)
    return scopes


class Roles(Extension):
    """Replace roles in every docstring."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Take an object that griffe has read."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(lambda role: _link(role, obj), obj.docstring.value)
