"""HTML pages that need nothing else, no network least of all: templates and the data in them."""

import json
from pathlib import Path
from typing import Any


def fill_page(name: str, data: dict[str, Any]) -> str:
    """Return a page of ``data/`` with data in it.

    The data are in the page once, as JSON, and no text from outside is anywhere else in it.

    Examples:
        >>> data = {"title": "</script>", "axes": ["", ""], "groups": [], "points": [], "paths": []}
        >>> fill_page("map.html", data).count("</script>")  # the page's own
        2
    """
    # Inside JSON's texts alone can these three characters be, and there their escapes mean the
    # same.
    encoded = json.dumps(data, allow_nan=False)
    for one in "<>&":
        encoded = encoded.replace(one, f"\\u{ord(one):04x}")
    page = (Path(__file__).parents[1] / "data" / name).read_text("utf-8")
    before, _, after = page.partition("@DATA@")
    return f"{before}{encoded}{after}"
