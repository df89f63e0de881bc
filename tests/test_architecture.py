"""The direction of imports, fences around packages, sizes of files and functions.

Each check is a function of source text, so that it can be shown to fail.
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "jaxseg").rglob("*.py"))
LAYERS = (
    ("core",),
    ("data", "models", "losses", "metrics", "report"),
    ("tasks",),
    ("train", "evals"),
    ("analysis",),
    ("transfer",),
    ("commands",),
)
# A layer that stands lower and yet is not below: training and analysis are siblings.
SIBLINGS = {"analysis": "train"}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Where each outside package may be imported: prefixes of `module.`.
FENCES = {
    "grain": ("jaxseg.data.",),
    "tensorflow_datasets": ("jaxseg.data.",),
    "orbax": ("jaxseg.core.checkpoint.",),
    "torch": ("jaxseg.models.pretrained.torch_file.",),
    "matplotlib": ("jaxseg.report.",),
    "sklearn": ("jaxseg.analysis.",),
    "absl": (),
    "ray": (),
    "tensorflow": (),
}
# What a distribution is imported as, where that is not its name.
IMPORTED_AS = {
    "openexr": "OpenEXR",
    "orbax_checkpoint": "orbax",
    "pillow": "PIL",
    "scikit_learn": "sklearn",
    "tensorboardx": "tensorboardX",
}
NEVER_IMPORTED = {
    "importlib_resources",  # tensorflow-datasets imports it without asking for it
    "tensorflow",  # tensorflow-datasets imports it, to prepare a set
    "beartype",  # jaxtyping's pytest plug-in imports it
    "pytest_xdist",  # a plug-in of pytest
    "ruff",  # a command
}
JAX = {"jax", "jaxlib", "flax", "optax", "chex"}
JAX_IN_CORE = (
    "jaxseg.core.checkpoint",  # when called: a report does without
    "jaxseg.core.cluster",
    "jaxseg.core.compiled",
    "jaxseg.core.flops",
    "jaxseg.core.hosts",
    "jaxseg.core.images_jnp",
    "jaxseg.core.trees",
)
REPORT_MAY = {"numpy", "scipy", "jinja2", "matplotlib", "jaxseg"}
MAX_FILE, MAX_FUNCTION, HARD_FUNCTION = 350, 50, 80
LONG_FUNCTIONS = 0.01  # the share that may be longer than MAX_FUNCTION


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path) for path in FILES}


def layer(name):
    """Of a module: its package, or `commands`."""
    parts = name.split(".")
    if len(parts) < 3 and (len(parts) == 1 or parts[1] not in RANK):
        return "commands"  # jaxseg itself and the files directly in it
    return "commands" if parts[-1] == "__main__" else parts[1]


def imports(source):
    """Full names of all that is imported anywhere in the text."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            full = [f"{base}.{alias.name}" for alias in node.names]
            ours = base.split(".")[0] == "jaxseg"
            found += [name if not ours or name in NAMES else base for name in full]
    return found


def wrong_directions(name, source):
    """Imports that do not point down."""
    own, problems = layer(name), []
    for target in imports(source):
        if target.startswith("."):
            problems.append(f"{name}: relative import {target}")
        if target.split(".")[0] != "jaxseg":
            continue
        other = layer(target)
        if other == "commands":
            problems.append(f"{name} imports the command {target}")
        elif SIBLINGS.get(own) == other or (other != own and RANK[other] >= RANK[own]):
            problems.append(f"{name} imports {target}")
    return problems


def broken_fences(name, source):
    """Outside packages imported where they have no place."""
    problems = []
    for target in imports(source):
        top = target.split(".")[0]
        if top in FENCES and not (f"{name}.").startswith(FENCES[top]):
            problems.append(f"{name} imports {target}")
        if top == "ml_collections" and layer(name) != "commands":
            problems.append(f"{name} imports {target}: configs and commands only")
        if layer(name) == "core" and top in JAX and name not in JAX_IN_CORE:
            problems.append(f"{name} imports {target}: core is without JAX")
        if name.startswith("jaxseg.report.") and (
            top not in REPORT_MAY | sys.stdlib_module_names
        ):
            problems.append(f"{name} imports {target}: not for reports")
    return problems


def too_long(name, source):
    """(problems, lengths of all functions)."""
    tree = ast.parse(source)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    lengths = {f"{name}.{n.name}": n.end_lineno - n.lineno + 1 for n in nodes}
    count = len(source.splitlines())
    problems = [f"{name}: {count} lines"] if count > MAX_FILE else []
    problems += [f"{k}: {n} lines" for k, n in lengths.items() if n > HARD_FUNCTION]
    return problems, lengths


def indexed_specs(name, source):
    """Sections taken for dicts: what is bound has attributes."""
    if name == "jaxseg.core.binding":
        return []
    lines = enumerate(source.splitlines(), 1)
    return [f"{name}:{n}" for n, line in lines if re.search(r"\bspec\[", line)]


def undocumented(name, source):
    """A module that does not say what it is for; an empty __init__ need not."""
    if source.strip() and not ast.get_docstring(ast.parse(source)):
        return [f"{name}: no module docstring"]
    return []


def opened_manifests(name, source):
    """Places outside core/manifest.py that name its file and so could open it."""
    if name == "jaxseg.core.manifest":
        return []
    tree, file = ast.parse(source), "manifest.json"
    prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    return [
        f"{name} names {file}"
        for node in ast.walk(tree)
        if id(node) not in prose
        and (
            (isinstance(node, ast.Constant) and file in str(node.value))
            or ast.unparse(node) in ("manifest.FILE", "manifests.FILE")
        )
    ]


def without_an_import(distributions, files):
    """Distributions that none of the files imports, of those that are imported."""
    texts = [Path(f).read_text() for f in files]
    tops = {target.split(".")[0] for text in texts for target in imports(text)}
    names = [re.match(r"[\w-]+", d)[0].lower().replace("-", "_") for d in distributions]
    names = [name for name in names if name not in NEVER_IMPORTED]
    return [name for name in names if IMPORTED_AS.get(name, name) not in tops]


def over_all(check):
    return [p for f in FILES for p in check(module_name(f), f.read_text())]


def test_imports_point_down():
    assert over_all(wrong_directions) == []


def test_fences():
    assert over_all(broken_fences) == []


def test_files_and_functions_are_short():
    found = [too_long(module_name(f), f.read_text()) for f in FILES]
    assert [problem for problems, _ in found for problem in problems] == []
    lengths = {k: n for _, lengths in found for k, n in lengths.items()}
    long = [name for name, length in lengths.items() if length > MAX_FUNCTION]
    assert len(long) <= LONG_FUNCTIONS * len(lengths), long


def test_specs_are_typed():
    assert over_all(indexed_specs) == []
    assert indexed_specs("x", 'a = 1\nb = spec["data"]') == ["x:2"]


def test_every_module_says_what_it_is_for():
    assert over_all(undocumented) == []


def test_one_module_opens_manifests():
    assert over_all(opened_manifests) == []


def test_configs_import_only_their_own():
    """The shared one also the facts of data sets, which come without JAX."""
    for path in (ROOT / "configs").glob("*.py"):
        found = set(imports(path.read_text()))
        if path.stem == "common":
            found.remove("jaxseg.data.catalogue")
        tops = {name.split(".")[0] for name in found}
        assert tops <= {"configs", "ml_collections"} | sys.stdlib_module_names, path


def test_every_dependency_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    files = [*FILES, *(ROOT / "configs").glob("*.py")]
    assert without_an_import(project["dependencies"], files) == []
    extras = [d for names in project["optional-dependencies"].values() for d in names]
    files += (ROOT / "tests").rglob("*.py")
    assert without_an_import(extras, files) == []


def test_a_dependency_without_an_import_is_noticed():
    given = ["jax[cuda12]>=1", "chex>=0.1", "ray", "ruff", "orbax-checkpoint"]
    assert without_an_import(given, FILES) == ["chex", "ray"]


@pytest.mark.parametrize(
    "name, source",
    [
        ("jaxseg.core.images", "from jaxseg.data import dataset"),
        ("jaxseg.data.pipeline", "from jaxseg.models import ops"),  # siblings
        ("jaxseg.train.loop", "import jaxseg.analysis.features"),  # siblings
        ("jaxseg.analysis.features", "from jaxseg.train import step"),  # siblings
        ("jaxseg.train.hooks", "from jaxseg.evals import evaluator"),
        ("jaxseg.evals.predictor", "from jaxseg.train import mesh"),
        ("jaxseg.evals.predictor", "from jaxseg.analysis import features"),
        ("jaxseg.tasks.task", "from jaxseg.train.state import TrainState"),
        ("jaxseg.models.model", "def f():\n    from jaxseg.transfer import store"),
        ("jaxseg.transfer.run", "from jaxseg import main"),
        ("jaxseg.transfer.run", "from jaxseg.data import __main__"),
        ("jaxseg.transfer.run", "import jaxseg"),
        ("jaxseg.transfer.run", "from jaxseg import load"),
        ("jaxseg.artifacts", "from jaxseg.main import load_config"),
        ("jaxseg.train.step", "from . import state"),
    ],
)
def test_a_wrong_direction_is_noticed(name, source):
    assert len(wrong_directions(name, source)) == 1


@pytest.mark.parametrize(
    "name, source",
    [
        ("jaxseg.transfer.run", "from jaxseg.core import errors"),
        ("jaxseg.transfer.kinds.train", "from jaxseg.transfer import training"),
        ("jaxseg.main", "from jaxseg.transfer import run"),
        ("jaxseg.data.__main__", "from jaxseg.transfer import store"),
        ("jaxseg", "from jaxseg.transfer import artifact"),
        ("jaxseg.core.images", "import jaxseg_other"),
        ("jaxseg.analysis.features", "from jaxseg.evals import predictor"),
    ],
)
def test_a_right_direction_is_let_through(name, source):
    assert wrong_directions(name, source) == []


@pytest.mark.parametrize(
    "name, source",
    [
        ("jaxseg.evals.evaluator", "import grain"),
        ("jaxseg.models.model", "import tensorflow_datasets as tfds"),
        ("jaxseg.train.state", "import orbax.checkpoint as ocp"),
        ("jaxseg.core.checkpointing", "from orbax import checkpoint"),
        ("jaxseg.models.model", "def f():\n    import torch"),
        ("jaxseg.core.draw", "from matplotlib import pyplot"),
        ("jaxseg.transfer.run", "import ml_collections"),
        ("jaxseg.transfer.chain", "import ray"),
        ("jaxseg.core.hashing", "import jax.numpy as jnp"),
        ("jaxseg.core.types", "from flax import struct"),
        ("jaxseg.report.build", "import tensorboardX"),
        ("jaxseg.report.build", "import jax"),
    ],
)
def test_a_broken_fence_is_noticed(name, source):
    assert len(broken_fences(name, source)) == 1


def test_what_is_too_long_is_noticed():
    body = "    pass\n" * HARD_FUNCTION
    assert too_long("x", f"class A:\n  def f():\n{body}")[0] == ["x.f: 81 lines"]
    assert too_long("x", "pass\n" * 351)[0] == ["x: 351 lines"]
    problems, lengths = too_long("x", "pass\n" * 348 + "def f():\n    pass")
    assert problems == [] and lengths == {"x.f": 2}


def test_a_missing_docstring_is_noticed():
    assert undocumented("x", "import os\n") == ["x: no module docstring"]
    assert undocumented("x", '"""What."""\n') == undocumented("x", "\n") == []


@pytest.mark.parametrize(
    "source, count",
    [
        ("open(folder / 'manifest.json')", 1),
        ("text = f'{folder}/manifest.json'", 1),
        ("jsonl.read_json(folder / manifests.FILE)", 1),
        ('def f():\n    """What manifest.json holds."""', 0),
        ("manifests.read(folder)", 0),
    ],
)
def test_a_manifest_opened_elsewhere_is_noticed(source, count):
    assert len(opened_manifests("jaxseg.report.rows", source)) == count
    assert opened_manifests("jaxseg.core.manifest", source) == []


def run_python(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def heavy(code, *packages):
    """Which of the packages are loaded after the code ran."""
    told = f"print(*sorted(set(sys.modules) & set({packages!r})))"
    return run_python(f"import sys\n{code}\n{told}")


def test_importing_the_package_costs_nothing():
    assert heavy("import jaxseg", "numpy", "jax", "flax", "ml_collections") == []
    assert heavy("import jaxseg, numpy", "numpy", "jax") == ["numpy"]  # can fail


def test_a_report_never_imports_jax():
    reports = [n for n in NAMES if n.startswith("jaxseg.report")]
    code = f"import importlib\nfor n in {reports!r}: importlib.import_module(n)"
    assert heavy(code, "jax", "flax", "optax", "orbax", "grain", "numpy") == ["numpy"]


def test_importing_any_module_touches_no_device():
    code = f"""
import importlib
from jax._src import xla_bridge
for name in {sorted(n for n in NAMES if not n.endswith("__main__"))!r}:
    importlib.import_module(name)
print(len(xla_bridge._backends))
import jax
jax.devices()
print(len(xla_bridge._backends) > 0)
"""
    assert run_python(code) == ["0", "True"]
