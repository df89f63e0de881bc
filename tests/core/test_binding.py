import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

import pytest

from jaxseg.core import binding, errors, nested, rules
from jaxseg.train import optim


def function(
    a: int,
    b: float = 0.5,
    *,
    c: str | None = None,
    d: bool = False,
    at: Sequence[float] = (0.5,),
    table: Mapping[str, str] | None = None,
):
    """Some arguments."""


def extra(power: float = 2.0):
    """More arguments."""


@dataclasses.dataclass
class Made:
    width: int
    depth: int = 3
    rate: float = 0.1


def build(variant: str = "small", **overrides) -> Made:
    """As backbones do."""
    return Made(**({"width": {"small": 4, "large": 9}[variant]} | overrides))


def bind(**section):
    return binding.bind(function, section=section, where="stages/x")


def test_defaults_are_written_in_and_the_name_stays():
    bound = binding.bind(function, section={"a": 1, "name": "f"}, where="x", named=True)
    assert bound == {
        "name": "f",
        "a": 1,
        "b": 0.5,
        "c": None,
        "d": False,
        "at": (0.5,),
        "table": None,
    }
    assert binding.bind(function, section=bound, where="x", named=True) == bound


def test_an_int_where_a_float_is_due_becomes_one():
    bound = bind(a=1, b=2, at=[1, 0.5])
    assert type(bound["b"]) is float and bound["b"] == 2.0
    assert [type(x) for x in bound["at"]] == [float, float]
    assert type(bound["a"]) is int


def test_unknown_key():
    with pytest.raises(errors.UserError) as caught:
        bind(a=1, tabel=3)
    assert str(caught.value) == (
        "stages/x: unknown key 'tabel'. Known: a, at, b, c, d, table. "
        "Did you mean 'table'?"
    )


def test_missing_key():
    with pytest.raises(errors.UserError, match="stages/x: key 'a' is missing"):
        bind(b=1.0)


@pytest.mark.parametrize(
    "section, text",
    [
        ({"a": 1.5}, r"stages/x/a: found 1.5 \(float\), allowed: int"),
        ({"a": True}, r"stages/x/a: found True \(bool\), allowed: int"),
        ({"a": "1"}, r"stages/x/a: found '1' \(str\), allowed: int"),
        ({"a": None}, r"found None"),
        ({"a": 1, "b": "x"}, r"stages/x/b: found 'x' \(str\), allowed: float"),
        ({"a": 1, "b": True}, r"found True"),
        ({"a": 1, "b": float("nan")}, "found nan"),
        ({"a": 1, "b": float("inf")}, "found inf"),
        ({"a": 1, "c": 3}, r"allowed: None, str"),
        ({"a": 1, "d": 1}, r"found 1 \(int\), allowed: bool"),
        ({"a": 1, "at": 0.5}, r"stages/x/at: found 0.5 \(float\), allowed: a list"),
        ({"a": 1, "at": "0.5"}, r"allowed: a list"),
        ({"a": 1, "at": ["x"]}, r"stages/x/at/0: found 'x' \(str\), allowed: float"),
        ({"a": 1, "table": [1]}, r"allowed: None, a section"),
        ({"a": 1, "table": {"k": 1}}, r"stages/x/table/k: found 1"),
    ],
)
def test_values_of_another_type_are_refused(section, text):
    with pytest.raises(errors.UserError, match=text):
        bind(**section)


@pytest.mark.parametrize("section", [3, "abc", None, ["a"]])
def test_a_section_is_a_mapping(section):
    with pytest.raises(
        errors.UserError, match=r"stages/x: found .* allowed: a section"
    ):
        binding.bind(function, section=section, where="stages/x")


def test_several_functions_share_a_section():
    bound = binding.bind(function, extra, section={"a": 1, "power": 3}, where="x")
    assert bound["power"] == 3.0 and bound["b"] == 0.5


def test_what_the_caller_gives_may_not_be_set():
    bound = binding.bind(function, section={}, where="x", given={"a": 1})
    assert "a" not in bound
    with pytest.raises(errors.UserError, match="unknown key 'a'"):
        binding.bind(function, section={"a": 1}, where="x", given={"a": 1})


def test_a_builder_of_a_dataclass_takes_its_fields():
    bound = binding.bind(build, section={"name": "n"}, where="x", named=True)
    assert bound == {
        "name": "n",
        "variant": "small",
        "width": 4,
        "depth": 3,
        "rate": 0.1,
    }
    large = binding.bind(build, section={"variant": "large", "rate": 1}, where="x")
    assert large == {"variant": "large", "width": 9, "depth": 3, "rate": 1.0}
    assert binding.bind(build, section=large, where="x") == large
    with pytest.raises(errors.UserError, match=r"unknown key 'dept'.*mean 'depth'"):
        binding.bind(build, section={"dept": 1}, where="x")
    with pytest.raises(errors.UserError, match="x/depth: found 'a'"):
        binding.bind(build, section={"depth": "a"}, where="x")


def test_name_of():
    assert binding.name_of({"name": "adam"}, "x") == "adam"
    with pytest.raises(errors.UserError, match="stages/x/name: found 3, allowed"):
        binding.name_of({"name": 3}, "stages/x")
    with pytest.raises(errors.UserError, match=r'Fix: \{"name": "adam"\}'):
        binding.name_of("adam", "x")
    for section in ({}, None):
        with pytest.raises(errors.UserError, match="a section with a 'name'"):
            binding.name_of(section, "stages/x/optimizer")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner(binding.Spec):
    """A nested section."""

    count: Annotated[int, rules.at_least(1)]
    folder: str | None = binding.local(None)
    digest: str | None = binding.resolved()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer(binding.Spec):
    """A section with sections in it."""

    one: Inner
    many: tuple[Inner, ...] = ()
    named: Mapping[str, Inner] | None = None
    rates: Annotated[Sequence[float], rules.SHARE] = (0.5,)

    def __post_init__(self):
        super().__post_init__()
        if len(self.many) > 2:
            raise errors.UserError(f"many: found {len(self.many)}, allowed: up to 2")


def outer(**section):
    return binding.bind(Outer, section=section, where="x")


def test_sections_become_frozen_specs_all_the_way_down():
    spec = outer(one={"count": 2}, many=[{"count": 3}], named={"a": {"count": 4}})
    assert [spec.one.count, spec.many[0].count, spec.named["a"].count] == [2, 3, 4]
    assert isinstance(spec.many, tuple) and spec.rates == (0.5,)
    assert outer(one=spec.one).one is spec.one  # bound before
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.one.count = 5


@pytest.mark.parametrize(
    "section, text",
    [
        ({}, "x: key 'one' is missing"),
        ({"one": 3}, "x/one: found 3, allowed: a section"),
        ({"one": {}}, "x/one: key 'count' is missing"),
        ({"one": {"count": 0}}, "x/one/count: found 0, allowed: 1 or more"),
        ({"one": {"cuont": 1}}, "x/one: unknown key 'cuont'.*Did you mean 'count'"),
        ({"one": {"count": 1, "digest": "a"}}, "x/one: unknown key 'digest'"),
        ({"one": {"count": 1}, "many": [{"count": 0}]}, "x/many/0/count: found 0"),
        ({"one": {"count": 1}, "many": [{"count": 1}] * 3}, "x/many: found 3"),
        ({"one": {"count": 1}, "rates": [0.1, 2.0]}, "x/rates: found .* 0 to 1"),
    ],
)
def test_what_a_spec_refuses_names_its_place(section, text):
    with pytest.raises(errors.UserError, match=text):
        outer(**section)


def test_a_changed_spec_is_checked_again():
    with pytest.raises(errors.UserError, match="count: found 0"):
        dataclasses.replace(outer(one={"count": 1}).one, count=0)


def test_plain_leaves_out_what_it_is_asked_to():
    spec = outer(one={"count": 1, "folder": "here"})
    assert nested.plain(spec)["one"] == {"count": 1, "folder": "here", "digest": None}
    assert nested.plain(spec, without="local")["one"] == {"count": 1, "digest": None}
    written = nested.plain(spec, without="resolved")
    assert written["one"] == {"count": 1, "folder": "here"}
    assert binding.bind(Outer, section=written, where="x") == outer(**written)


def test_a_result_may_be_changed_without_changing_the_next():
    """Equal sections are bound once; only a function that pickles is remembered."""
    given = {"section": {"name": "step"}, "where": "x"}
    first = optim.bind_schedule(**given)
    first |= {"factor": 7}
    assert optim.bind_schedule(**given)["factor"] == 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaf(binding.Spec):
    number: int = 1
    later: int | None = binding.added()
    known: object = binding.unwritten()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tree(Leaf):
    inner: tuple[Leaf, ...] = ()
    named: Mapping[str, object] | None = None


def test_what_came_later_is_written_only_where_it_is_given():
    assert nested.plain(Leaf(known=3)) == {"number": 1}
    assert nested.plain(Leaf(later=0)) == {"number": 1, "later": 0}
    with pytest.raises(errors.UserError, match="unknown key 'known'"):
        binding.bind(Leaf, section={"known": 3}, where="x")


def test_specs_within_a_spec_are_changed_inner_ones_first():
    tree = Tree(inner=(Leaf(number=2), Leaf(number=3)), named={"a": [Leaf(number=4)]})
    places = []

    def add(leaf, where):
        places.append((where, leaf.number))
        return dataclasses.replace(leaf, number=leaf.number + 10)

    found = nested.mapped(tree, Leaf, add, "x")
    assert places == [("x/inner/0", 2), ("x/inner/1", 3), ("x/named/a/0", 4), ("x", 1)]
    assert [leaf.number for leaf in (found, *found.inner)] == [11, 12, 13]
    assert found.named["a"][0].number == 14 and tree.inner[0].number == 2
    assert nested.mapped(tree, Leaf, lambda leaf, where: leaf, "x") is tree
