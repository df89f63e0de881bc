"""The examples in docstrings run and print what they say."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "jaxseg").rglob("*.py"))
LEAST = 20  # public functions and classes with an example


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def public(source):
    """Names of the public functions, classes and methods that have an example."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    documented = [node for node in nodes if ">>>" in (ast.get_docstring(node) or "")]
    return [node.name for node in documented if not node.name.startswith("_")]


WITH_EXAMPLES = [path for path in FILES if ">>>" in path.read_text()]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=module_name)
def test_examples(path):
    module = importlib.import_module(module_name(path).removesuffix(".__init__"))
    failed, tried = doctest.testmod(module)
    assert tried and not failed


def test_many_functions_have_an_example():
    names = [name for path in WITH_EXAMPLES for name in public(path.read_text())]
    assert len(names) >= LEAST


def test_what_counts_as_an_example():
    source = 'def {}():\n    """One.\n\n    >>> 1\n    1\n    """\n'
    assert public(source.format("f") + source.format("_g")) == ["f"]
    assert public('"""A module.\n\n>>> 1\n1\n"""\ndef f():\n    """No."""') == []
