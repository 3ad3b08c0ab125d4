"""What a member imports against what it declares."""

from tools.lint.dependencies import compare, declared, imported

PROVIDERS = {
    "yaml": ["PyYAML"],
    "opentelemetry": ["opentelemetry-api", "opentelemetry-sdk"],
    "qscan_kit": ["qscan-kit"],
}


def problems(*, has: set[str], uses: set[str]) -> list[str]:
    """Return what is wrong with a member `qscan_policy` that has and uses these."""
    return list(compare("qscan_policy", has, uses, PROVIDERS))


def test_an_import_that_nobody_declared_is_found():
    """It would work in the shared environment and fail in the image of the service."""
    assert problems(has=set(), uses={"yaml"}) == ["imports yaml and does not declare pyyaml"]


def test_an_import_of_a_package_that_is_not_installed_is_found():
    """No provider is known then, so the package's own name is asked for."""
    assert problems(has=set(), uses={"re3"}) == ["imports re3 and does not declare re3"]


def test_a_declaration_that_is_never_used_is_found():
    """It would be installed and updated for nothing."""
    assert problems(has={"pyyaml"}, uses=set()) == ["declares pyyaml and never imports it"]


def test_one_provider_of_a_shared_namespace_is_enough():
    """The packages `opentelemetry.*` come from many distributions."""
    assert problems(has={"opentelemetry-sdk"}, uses={"opentelemetry"}) == []


def test_what_is_used_without_an_import_and_ones_own_package_are_fine():
    """The event loop is chosen by name, other members are run as programs; nobody declares himself."""
    assert problems(has={"uvloop", "qscan-spam"}, uses={"qscan_policy"}) == []


def test_declarations_are_read_whatever_their_form():
    """Versions, extras and markers are cut off, spelling is made the index's."""
    text = '[project]\ndependencies = ["PyYAML>=6", "a_b[x]>=1", "c.d ; python_version > \'3\'"]\n'
    assert declared(text) == {"pyyaml", "a-b", "c-d"}


def test_imports_are_read_wherever_they_stand():
    """Inside functions too; relative ones and the standard library's are no dependencies."""
    text = "import os, yaml.nodes\ndef f():\n    from qscan_kit.bus import Bus\n    from . import x\n"
    assert imported([text]) == {"yaml", "qscan_kit"}
