"""Draw the runtime's modules, their layers and their imports into docs/architecture.svg.

Layers are those that import-linter checks (pyproject.toml), arrows are the imports in the code. An
arrow is left out where a longer way along arrows says the same.

    python docs/draw_architecture.py
"""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

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
    "storage": "atomic files, URLs",
    "cli": "one module a command",
    "torch": "nn.Module classes",
}
"""What the folders are for: the one thing that the code doesn't say."""
WIDTH, HEIGHT, GAP, ROW = 2.35, 0.62, 0.35, 1.3
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


def draw(layers: list[list[str]], imports: set[tuple[str, str]]) -> Figure:
    """Draw one row per layer."""
    widest = max(map(len, layers))
    span = widest * (WIDTH + GAP)
    figure = Figure(figsize=(span * 0.82, len(layers) * ROW * 0.72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, span), ylim=(-len(layers) * ROW + 0.25, 0.55))
    axes.axis("off")
    centres = {}
    for row, layer in enumerate(layers):
        left = (span - len(layer) * (WIDTH + GAP)) / 2
        for column, name in enumerate(layer):
            x, y = left + column * (WIDTH + GAP) + GAP / 2, -row * ROW - HEIGHT / 2
            centres[name] = (x + WIDTH / 2, y + HEIGHT / 2)
            face, edge = COLOURS[name in STEPS]
            axes.add_patch(
                FancyBboxPatch(
                    (x, y), WIDTH, HEIGHT,
                    boxstyle="round,pad=0,rounding_size=0.1", fc=face, ec=edge, lw=1.2, zorder=3,
                )
            )  # fmt: skip
            title, about = (f"{name}/", STEPS[name]) if name in STEPS else (f"{name}.py", "")
            cx, cy = centres[name]
            axes.text(
                cx, cy + (0.11 if about else 0), title,
                ha="center", va="center", family="monospace", size=11, weight="bold", zorder=4,
            )  # fmt: skip
            axes.text(cx, cy - 0.15, about, ha="center", va="center", size=8, zorder=4)
    for importer, imported in sorted(imports):
        (x1, y1), (x2, y2) = centres[importer], centres[imported]
        lean = max(-0.8, min(0.8, (x2 - x1) * 0.25))
        axes.add_patch(
            FancyArrowPatch(
                (x1 + lean, y1 - HEIGHT / 2), (x2 - lean, y2 + HEIGHT / 2),
                arrowstyle="-|>", mutation_scale=9, lw=0.9, color="#777", zorder=2,
            )
        )  # fmt: skip
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
