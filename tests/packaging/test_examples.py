"""Everything on the page of the API has an example; conftest.py runs them."""

import importlib
import inspect
import re

import pytest

import hearaudiomlp
from paths import ROOT

API = re.findall(r"^::: (\S+)\.(\w+)$", (ROOT / "docs" / "api.md").read_text("utf-8"), re.MULTILINE)


def doctests(value: object) -> int:
    """Count the examples of a function, or of a class or module and what is in it."""
    inside = vars(value).values() if inspect.isclass(value) or inspect.ismodule(value) else ()
    return sum((inspect.getdoc(one) or "").count(">>>") for one in (value, *inside))


@pytest.mark.parametrize(("module", "name"), API)
def test_it_has_an_example(module: str, name: str) -> None:
    found = getattr(importlib.import_module(module), name, None)
    assert doctests(found or importlib.import_module(f"{module}.{name}"))


def test_all_that_the_package_offers_is_on_the_page() -> None:
    offered = {name for name in hearaudiomlp.__all__ if not name.startswith("__")}
    assert offered - {name for _, name in API} == {"HearAudioMLPError"}  # among the errors
