"""The tests of the deployment read YAML strictly; these show that they do."""

import pytest

from tests.deploy import strict_yaml


def test_key_that_stands_twice_is_refused():
    """Otherwise the first of two `environment:` would be gone without a word."""
    with pytest.raises(ValueError, match="line 3: a stands there twice"):
        strict_yaml.load("x: 1\nb:\n  a: 1\n  a: 2\n")


def test_key_that_overrides_a_merged_one_is_fine():
    """`<<` is there to be overridden."""
    assert strict_yaml.load("x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}\nz: *x\n")["y"] == {"a": 3, "b": 2}


def test_documents_are_counted():
    """Something behind a stray --- must not be overlooked."""
    with pytest.raises(ValueError, match="found 2"):
        strict_yaml.load("a: 1\n---\nb: 1\n")
    assert strict_yaml.load_all("a: 1\n---\n# nothing\n---\nb: 1\n") == [{"a": 1}, {"b": 1}]
