"""Draw the runtime's modules, their layers and their imports into docs/architecture.svg.

Layers are those that import-linter checks (pyproject.toml), arrows are the imports in the code. An
arrow is left out where a longer way along arrows says the same.

    python docs/draw_architecture.py
"""

import re
import tomllib
from itertools import pairwise
from math import inf
from pathlib import Path
from random import Random

import grimp
import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "hearaudiomlp"
STEPS = {
    "audio": "files and microphones in",
    "signal": "windows, scenes: numpy only",
    "weights": "which file, what is in it",
    "inference": "ONNX Runtime, threads",
    "keywords": "probabilities to words",
    "table": "archives of files",
    "figures": "pictures",
    "fitting": "own words and sounds",
    "storage": "atomic files, URLs",
    "cli": "one module a command",
    "torch": "nn.Module classes",
}
"""What the folders are for: the one thing that the code doesn't say."""
WIDTH, HEIGHT, GAP, ROW = 2.2, 0.62, 0.3, 1.1
COLUMNS, STARTS, TRIES = 5, 12, 2000
Point = tuple[float, float]
COLOURS = {True: ("#dbe7fb", "#34558b"), False: ("#f4f0e4", "#8a7a45")}


def read_layers() -> list[list[str]]:
    """Return the runtime's layers from the top down, without what is there no longer."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(one for one in settings["contracts"] if one.get("containers") == [PACKAGE])
    layers = [re.findall(r"\w+", layer) for layer in contract["layers"]]
    there = {path.stem for path in (ROOT / "runtime" / PACKAGE).iterdir()}
    return [kept for layer in layers if (kept := [name for name in layer if name in there])]


def read_imports(names: list[str]) -> set[tuple[str, str]]:
    """Return which of these modules imports which, in the code."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    for name in names:
        if graph.find_children(f"{PACKAGE}.{name}"):
            graph.squash_module(f"{PACKAGE}.{name}")
    return {
        (name, other)
        for name in names
        for other in names
        if name != other
        and graph.direct_import_exists(importer=f"{PACKAGE}.{name}", imported=f"{PACKAGE}.{other}")
    }


def reduce(imports: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out imports that a longer way along others implies."""
    below: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        if name not in below:
            direct = {imported for importer, imported in imports if importer == name}
            below[name] = direct.union(*(reach(imported) for imported in direct))
        return below[name]

    return {
        (importer, imported)
        for importer, imported in imports
        if not any(
            imported in reach(between)
            for start, between in imports
            if start == importer and between != imported
        )
    }


def place(layers: list[list[str]], imports: set[tuple[str, str]]) -> dict[str, Point]:
    """Choose columns for the modules such that few arrows are long or pass behind a box."""
    random = Random(0)
    arrows = sorted(imports)  # sums of floats depend on their order
    rows = {name: row for row, layer in enumerate(layers) for name in layer}
    columns = {name: column for layer in layers for column, name in enumerate(layer)}

    def cost() -> float:
        total = 0.0
        for importer, imported in arrows:
            (top, bottom) = (rows[importer], rows[imported])
            shift = columns[imported] - columns[importer]
            total += abs(shift) ** 1.5
            for row in range(top + 1, bottom):
                crossing = columns[importer] + shift * (row - top) / (bottom - top)
                total += sum(abs(columns[name] - crossing) < 0.6 for name in layers[row]) * 10
        return total

    best, found = inf, dict(columns)
    for _ in range(STARTS):
        for layer in layers:
            columns.update(zip(layer, random.sample(range(COLUMNS), len(layer)), strict=True))
        last = cost()
        for _ in range(TRIES):
            before = dict(columns)
            layer = random.choice(layers)
            name, column = random.choice(layer), random.randrange(COLUMNS)
            other = next((one for one in layer if columns[one] == column), name)
            columns[name], columns[other] = column, columns[name]
            if (now := cost()) <= last:
                last = now
            else:
                columns.update(before)
        if last < best:
            best, found = last, dict(columns)
    return {name: (found[name] * (WIDTH + GAP), -rows[name] * ROW) for name in rows}


def draw(layers: list[list[str]], imports: set[tuple[str, str]]) -> Figure:
    """Draw one row per layer."""
    base = layers[-1]
    imports = {(one, other) for one, other in imports if other not in base}
    places = place(layers, imports)
    lefts = [x for x, _ in places.values()]
    left, right = min(lefts) - GAP, max(lefts) + WIDTH + GAP
    top, bottom = 0.3, -(len(layers) - 1) * ROW - HEIGHT - 0.6
    figure = Figure(figsize=(right - left, top - bottom))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.axis("off")
    for name, (x, y) in places.items():
        face, edge = COLOURS[name in STEPS]
        box = FancyBboxPatch(
            (x, y - HEIGHT), WIDTH, HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.1", fc=face, ec=edge, lw=1.2, zorder=3,
        )  # fmt: skip
        axes.add_patch(box)
        title, about = (f"{name}/", STEPS[name]) if name in STEPS else (f"{name}.py", "")
        middle = {"x": x + WIDTH / 2, "ha": "center", "va": "center", "zorder": 4}
        rise = 0.11 if about else 0
        axes.text(
            y=y - HEIGHT / 2 + rise, s=title, family="monospace", size=12, weight="bold", **middle
        )
        axes.text(y=y - HEIGHT / 2 - 0.15, s=about, size=9, **middle)
    axes.text(
        (left + right) / 2, bottom + 0.25, "Every module may import the lowest row.", ha="center"
    )
    for importer, imported in sorted(imports):
        (x1, y1), (x2, y2) = places[importer], places[imported]
        lean = max(-0.9, min(0.9, (x2 - x1) * 0.25))
        arrow = FancyArrowPatch(
            (x1 + WIDTH / 2 + lean, y1 - HEIGHT), (x2 + WIDTH / 2 - lean, y2),
            arrowstyle="-|>", mutation_scale=11, lw=1, color="#777", zorder=2,
        )  # fmt: skip
        axes.add_patch(arrow)
    return figure


def main() -> None:
    """Draw the picture again."""
    layers = read_layers()
    for upper, lower in pairwise(layers):
        assert not set(upper) & set(lower)
    imports = reduce(read_imports([name for layer in layers for name in layer]))
    mpl.rcParams.update({"svg.hashsalt": PACKAGE, "svg.fonttype": "none"})
    path = ROOT / "docs" / "architecture.svg"
    draw(layers, imports).savefig(path, metadata={"Date": None}, facecolor="white")
    # Lines that end in blanks are matplotlib's.
    path.write_text(re.sub(r" +$", "", path.read_text(), flags=re.MULTILINE))


if __name__ == "__main__":
    main()
