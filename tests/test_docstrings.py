"""Every public function and class has an example, which runs as a test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearaudiomlp.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "runtime" / "hearaudiomlp", ROOT / "export" / "hearaudiomlp_export")
TRAINING = PACKAGES[1] / "train"
"""Recipes, which are run as a whole: their examples are the commands of docs/export.md."""

WITHOUT = {
    "hearaudiomlp.cli.command.process": "ends the process",
    "hearaudiomlp.cli.interrupts.ignore": "changes how the process handles signals",
    "hearaudiomlp.cli.interrupts.install": "changes how the process handles signals",
    "hearaudiomlp.cli.interrupts.unwinding": "changes how the process handles signals",
    "hearaudiomlp.cli.process": "ends the process",
    "hearaudiomlp.storage.stopping.stop": "stops all writing of the process",
    "hearaudiomlp_export.cli.process": "ends the process",
    "hearaudiomlp_export.verify.selftest.main": "replaces a file of the package",
}
"""Why they have no example."""

ELSEWHERE = {
    "hearaudiomlp.audio.microphone.Microphone": "needs a microphone",
    "hearaudiomlp.table.cluster.cluster": "starts processes, for seconds",
    "hearaudiomlp.table.cluster.on_cluster": "starts processes, for seconds",
    "hearaudiomlp.weights.download.pull": "needs a network",
}
"""Their examples are shown, and skipped as doctests."""

Definition = ast.ClassDef | ast.FunctionDef


def public() -> Iterator[tuple[str, Definition]]:
    paths = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
    for path in paths:
        if TRAINING in path.parents:
            continue
        parts = path.relative_to(ROOT).with_suffix("").parts[1:]  # without runtime or export
        name = ".".join(parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, Definition) and not node.name.startswith("_"):
                yield f"{name}.{node.name}", node


def is_protocol(node: Definition) -> bool:
    return isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)


def is_bare_error(node: Definition) -> bool:
    """An error with nothing of its own is described by its bases."""
    if not isinstance(node, ast.ClassDef) or len(node.body) > 1:
        return False
    return any(ast.unparse(base).endswith("Error") for base in node.bases)


def is_command(name: str) -> bool:
    """A command's examples are the command lines of its page, which run as tests, too."""
    modules = {command.__name__ for command in COMMANDS}  # type: ignore[attr-defined]
    module, _, function = name.rpartition(".")
    return module in modules and function in ("add_arguments", "run")


def docstrings(node: Definition) -> str:
    """A class may have its examples in its methods."""
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    documented = [node, *(methods if isinstance(node, ast.ClassDef) else [])]
    return "\n".join(ast.get_docstring(one) or "" for one in documented)


OBJECTS = {
    name: docstrings(node)
    for name, node in public()
    if not (is_protocol(node) or is_command(name) or name in WITHOUT)
    and not (is_bare_error(node) and ">>>" not in docstrings(node))
}


@pytest.mark.parametrize("name", OBJECTS)
def test_public_objects_have_an_example(name: str) -> None:
    examples = [line for line in OBJECTS[name].splitlines() if line.lstrip().startswith(">>> ")]
    assert examples
    assert any("+SKIP" in line for line in examples) == (name in ELSEWHERE)


def test_exceptions_exist() -> None:
    assert {*WITHOUT, *ELSEWHERE} <= {name for name, _ in public()}


@pytest.mark.parametrize("name", [command.NAME for command in COMMANDS])
def test_commands_have_an_example(name: str) -> None:
    pages = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    blocks = re.findall(r"^```sh\n(.*?)^```", pages, re.DOTALL | re.MULTILINE)
    assert any(re.search(rf"^hearaudiomlp {name}\b", block, re.MULTILINE) for block in blocks)
