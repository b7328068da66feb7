"""What the folders say of themselves, read without importing them."""

from __future__ import annotations

import pytest

from alcli import plugins

FAMILIES = ("strategies", "heads", "posteriors", "embedders")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_method_has_a_summary(family):
    for name in plugins.names(family):
        assert plugins.summary(family, name).line.endswith((".", ":")), name
