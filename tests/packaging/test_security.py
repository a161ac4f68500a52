"""SECURITY.md names the tests that hold its promises."""

import re

from paths import ROOT


def test_every_test_that_it_names_is_there() -> None:
    page = (ROOT / "SECURITY.md").read_text("utf-8")
    names = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(names) > 20
    for path, test in names:
        source = (ROOT / path).read_text("utf-8")
        assert not test or f"def {test}(" in source, (path, test)
