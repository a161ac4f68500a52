"""A map of many sounds: their scene embeddings in two dimensions (extra ``[plot]``).

Files with similar embeddings are near each other. Colours and shapes distinguish folders: the
colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers
can distinguish; the shapes are for grey print.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hearaudiomlp._text import shorten
from hearaudiomlp._types import Floats
from hearaudiomlp.errors import (
    MissingPackageError,
    OptionError,
    needs_extra,
    require_address_space,
)
from hearaudiomlp.figures.pages import fill_page
from hearaudiomlp.figures.style import default_style

__all__ = [
    "MARKERS",
    "METHODS",
    "OTHER",
    "PALETTE",
    "EmbeddingMap",
    "draw_map",
    "folders_of",
    "make_map",
    "map_page",
]

METHODS = ("auto", "pca", "umap")
"""Methods of projection; ``auto`` is UMAP if it is installed, otherwise PCA."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""Colours of the folders, those with most files first."""

MARKERS = "os^DvPX*"
"""Their shapes, as matplotlib calls them."""

OTHER = "other folders"
"""Name of what is left when there are more folders than colours."""

_LABELLED = 40  # points that a picture can name
_SHOWN = 60  # characters of a name in a picture
_FEWEST_FOR_UMAP = 5


@dataclass(frozen=True)
class EmbeddingMap:
    """Points, one a file.

    Examples:
        >>> points = make_map(["a/1.wav", "b/2.wav"], np.eye(2, 8, dtype=np.float32))
        >>> points.groups, points.method
        (('a', 'b'), 'PCA')
    """

    paths: tuple[str, ...]
    positions: npt.NDArray[np.float64]
    """[shape=(n, 2)]"""

    groups: tuple[str, ...]
    """Folder of each file, or :data:`OTHER`."""

    axes: tuple[str, str]
    """What the two dimensions are."""

    method: str
    """``PCA`` or ``UMAP``."""

    def order(self) -> list[str]:
        """Return the groups, those with most files first, :data:`OTHER` last."""
        counts = Counter(self.groups)
        return sorted(counts, key=lambda group: (group == OTHER, -counts[group], group))


def folders_of(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the folder of each path, below what all have in common; the rarest as one.

    Examples:
        >>> folders_of(["/in/dogs/1.wav", "/in/dogs/2.wav", "/in/cats/1.wav"])
        ('dogs', 'dogs', 'cats')
    """
    # By parts: commonpath and pathlib disagree on what "//" is, and drives have nothing in common.
    folders = [Path(path).parent.parts for path in paths]
    common = len(os.path.commonprefix(folders))  # noqa: RUF071 - of parts, not of letters
    names = [str(Path(*folder[common:] or folder)) for folder in folders]
    counts = Counter(names)
    if len(counts) <= len(PALETTE):
        return tuple(names)
    kept = {name for name, _ in counts.most_common(len(PALETTE) - 1)}
    return tuple(name if name in kept else OTHER for name in names)


def _pca(scenes: Floats) -> tuple[npt.NDArray[np.float64], tuple[str, str]]:
    require_address_space(2048, "scikit-learn")
    with needs_extra("plot", "a map needs scikit-learn"):
        from sklearn.decomposition import PCA
    positions = np.zeros((len(scenes), 2))
    shares = [0.0, 0.0]
    if len(scenes) > 1:
        n = min(2, len(scenes) - 1, scenes.shape[1])
        pca = PCA(n, random_state=0)
        with np.errstate(invalid="ignore"):  # shares of no variance, where all are the same
            positions[:, :n] = pca.fit_transform(scenes.astype(np.float64))
        shares[:n] = np.nan_to_num(pca.explained_variance_ratio_).tolist()
    first, second = (
        f"principal component {number} ({100 * share:.0f} % of the variance)"
        for number, share in enumerate(shares, 1)
    )
    return positions, (first, second)


def _umap(scenes: Floats) -> npt.NDArray[np.float64] | None:
    """Return positions by UMAP, or nothing where it isn't installed."""
    try:
        from umap import UMAP
    except ImportError:
        return None
    # One thread gives the same map every time; umap warns where it has to set that itself.
    reducer = UMAP(n_neighbors=min(15, len(scenes) - 1), random_state=0, n_jobs=1)
    return np.asarray(reducer.fit_transform(scenes), np.float64)


def make_map(paths: Sequence[str], scenes: Floats, method: str = "auto") -> EmbeddingMap:
    """Lay sounds out in two dimensions.

    Args:
        paths: of the files.
        scenes: their scene embeddings [shape=(n, size)].
        method: one of :data:`METHODS`. ``auto`` takes PCA where UMAP isn't installed and for fewer
            than five files, of which UMAP can't make anything.

    Raises:
        OptionError: the method is unknown, or there are too few files for UMAP.
        MissingPackageError: scikit-learn is missing, or UMAP was asked for and is.

    Examples:
        >>> import numpy as np
        >>> points = make_map(["a/1.wav", "a/2.wav", "b/3.wav"], np.eye(3, 8, dtype=np.float32))
        >>> points.method, points.positions.shape, points.order()
        ('PCA', (3, 2), ['a', 'b'])
    """
    if method not in METHODS:
        raise OptionError(f"method is one of {', '.join(METHODS)}, not {method!r}")
    groups = folders_of(paths)
    if method != "pca" and len(scenes) >= _FEWEST_FOR_UMAP:
        positions = _umap(scenes)
        if positions is not None:
            return EmbeddingMap(tuple(paths), positions, groups, ("UMAP 1", "UMAP 2"), "UMAP")
        if method == "umap":
            raise MissingPackageError("UMAP isn't installed: pip install umap-learn")
    elif method == "umap":
        raise OptionError(
            f"UMAP needs at least {_FEWEST_FOR_UMAP} files, and there are {len(scenes)}"
        )
    positions, axes = _pca(scenes)
    return EmbeddingMap(tuple(paths), positions, groups, axes, "PCA")


@default_style()
def draw_map(points: EmbeddingMap, title: str = "") -> Any:
    """Draw a map as a picture; up to forty points have their files' names beside them.

    Names and titles are drawn literally: ``$`` doesn't start a formula.

    Returns:
        A ``matplotlib.figure.Figure``.

    Raises:
        MissingPackageError: the extra ``[plot]`` isn't installed.

    Examples:
        >>> points = make_map(["a/1.wav", "b/2.wav"], np.eye(2, 8, dtype=np.float32))
        >>> draw_map(points, "Two sounds").savefig("map.png")
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots()
    groups = np.array(points.groups)
    labels: list[str] = []
    for group, colour, marker in _styles(points):
        mine = points.positions[groups == group]
        axes.scatter(
            mine[:, 0], mine[:, 1], s=42, c=colour, marker=marker,
            edgecolors="black", linewidths=0.5, alpha=0.9,
        )  # fmt: skip
        labels.append(f"{shorten(group, _SHOWN)} ({len(mine)})")
    if len(points.paths) <= _LABELLED:
        for path, (x, y) in zip(points.paths, points.positions, strict=True):
            axes.annotate(
                shorten(Path(path).stem, _SHOWN), (x, y), (4, 3), textcoords="offset points",
                fontsize=8, parse_math=False,
            )  # fmt: skip
    axes.set_xlabel(points.axes[0])
    axes.set_ylabel(points.axes[1])
    axes.margins(0.08)
    axes.set_title(shorten(title or _title(points), 2 * _SHOWN), parse_math=False)
    legend = figure.legend(
        axes.collections, labels, loc="outside right upper", title="folder", frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def map_page(points: EmbeddingMap, title: str = "") -> str:
    """Return a map as an HTML page that needs nothing else, no network least of all.

    Points name their files where the pointer is; folders can be hidden, and files found by name.

    Examples:
        >>> import numpy as np
        >>> points = make_map(["</script>.wav", "b.wav"], np.eye(2, 8, dtype=np.float32))
        >>> map_page(points).count("</script>")  # the page's own
        2
    """
    groups = [
        {"name": group, "colour": colour, "marker": marker}
        for group, colour, marker in _styles(points)
    ]
    number = {group: index for index, group in enumerate(points.order())}
    data = {
        "title": title or _title(points),
        "method": points.method,
        "axes": points.axes,
        "groups": groups,
        "paths": points.paths,
        "points": [
            [round(float(x), 5), round(float(y), 5), number[group]]
            for (x, y), group in zip(points.positions, points.groups, strict=True)
        ],
    }
    return fill_page("map.html", data)


def _title(points: EmbeddingMap) -> str:
    return f"{len(points.paths)} files by their scene embeddings"


def _styles(points: EmbeddingMap) -> list[tuple[str, str, str]]:
    groups = points.order()
    return [
        (group, "#999999" if group == OTHER else colour, marker)
        for group, colour, marker in zip(groups, PALETTE, MARKERS, strict=False)
    ]
