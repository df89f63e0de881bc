"""Published weights through the command, and from there into a training."""

import pickle
import sys

import numpy as np
import pytest
import safetensors.numpy

import jaxseg
from jaxseg import weights
from jaxseg.core import jsonl, trees
from jaxseg.core import manifest as manifests
from jaxseg.models.pretrained import convert, torch_file
from jaxseg.transfer import run as runs
from jaxseg.transfer import store
from tests import tiny
from tests.models import test_pretrained as pretrained

ARCH = "vit_tiny_patch16_224"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Filled weights under timm's names."""
    return save(tmp_path_factory.mktemp("files") / "vit.safetensors", ARCH)


def save(path, name, rename=lambda key: key):
    tensors = {rename(k): x for k, x in pretrained.published(name).items()}
    safetensors.numpy.save_file(tensors, path)
    return path


@pytest.fixture
def command(capsys):
    def run(*arguments):
        code = weights.main([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return run


def test_an_artifact_that_gives_torchs_numbers(file, command, tmp_path):
    folder = tmp_path / "vit"
    code, out, err = command(f"--arch={ARCH}", f"--file={file}", f"--output={folder}")
    assert code == 0, err
    assert "5,717,416 parameters; head: classification of 1000" in out
    model = jaxseg.load(folder)
    assert model.manifest["preprocessing"]["mean"] == [127.5] * 3
    image = pretrained.filling.image(224, 224)
    (features,) = model.features(image)
    assert features.shape == (1, 14, 14, 192)
    stored = pretrained.reference(ARCH)
    logits = np.asarray(model.logits(image)).reshape(-1)
    deviation = stored["224x224/logits/moments"][1]
    found = np.abs(logits - stored["224x224/logits/values"]).max() / deviation
    assert found <= pretrained.TOLERANCE
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    assert model(pixels).shape == () and 0 <= model(pixels) < 1000
    manifests.check(folder)


def test_it_can_be_named_in_place(file, tmp_path, command):
    """`module.` in front of all names, as training on several GPUs leaves it."""
    again = save(tmp_path / "a.safetensors", ARCH, lambda key: f"module.{key}")
    for path in (file, again):
        assert torch_file.read(path).keys() == torch_file.read(file).keys()


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-1000])


def no_tensors(path):
    path.write_bytes(pickle.dumps({"a": 1}))


def one_nan(path):
    tensors = safetensors.numpy.load_file(path)
    tensors["blocks.1.norm1.bias"][3] = np.nan
    safetensors.numpy.save_file(tensors, path)


@pytest.mark.parametrize(
    "spoil, text",
    [
        (one_nan, "tensor 'blocks.1.norm1.bias' holds values that are not finite"),
        (cut_off, "not a safetensors file, or cut off"),
        (no_tensors, "not a safetensors"),
    ],
)
def test_a_spoilt_file_leaves_no_artifact(file, command, tmp_path, spoil, text):
    path = tmp_path / "w.safetensors"
    path.write_bytes(file.read_bytes())
    spoil(path)
    folder = tmp_path / "out"
    code, out, err = command(f"--arch={ARCH}", f"--file={path}", f"--output={folder}")
    assert code == 2 and f"{path}: " in err and text in err and not out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.safetensors"]


def test_weights_of_another_network_leave_no_artifact(file, command, tmp_path):
    folder = tmp_path / "out"
    other = "--arch=vit_small_patch16_224"
    code, _, err = command(other, f"--file={file}", f"--output={folder}")
    assert code == 2 and f"{file}: this is not vit_small_patch16_224" in err
    assert "looks like vit_tiny_patch16_224" in err and "- reshaped " in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, text",
    [
        (("--file=x", "--output=y"), "--arch=... is missing"),
        (("--arch=resnet5", "--file=x", "--output=/tmp/none"), "mean 'resnet50'"),
        (
            ("--arch=resnet50", "--file=no.safetensors", "--output=/tmp/none"),
            "neither a file",
        ),
    ],
)
def test_mistakes(command, arguments, text):
    code, _, err = command(*arguments)
    assert code == 2 and text in err and err.count("\n") <= 2


def test_a_folder_in_use_is_left_alone(file, command, tmp_path):
    (tmp_path / "mine").write_text("precious")
    code, _, err = command(f"--arch={ARCH}", f"--file={file}", f"--output={tmp_path}")
    assert code == 2 and "is not empty" in err
    assert (tmp_path / "mine").read_text() == "precious"


def test_the_list(command):
    code, out, _ = command("--list")
    assert code == 0
    assert all(name in out for name in convert.architectures())


def test_a_pickle_without_torch(tmp_path, command, monkeypatch):
    path = tmp_path / "w.pth"
    no_tensors(path)
    monkeypatch.setitem(sys.modules, "torch", None)
    folder = tmp_path / "out"
    code, _, err = command(f"--arch={ARCH}", f"--file={path}", f"--output={folder}")
    assert code == 2 and "needs torch to be read: pip install jaxseg[torch]" in err


class Payload:
    def __reduce__(self):
        return print, ("executed",)


def test_a_pickle_that_is_no_tensor_file_is_never_executed(tmp_path, command):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / "w.pth"
    path.write_bytes(pickle.dumps(Payload()))
    folder = tmp_path / "out"
    code, out, err = command(f"--arch={ARCH}", f"--file={path}", f"--output={folder}")
    assert code == 2 and "nothing in it was run" in err and "executed" not in out + err
    torch.save({"state_dict": {"a": torch.ones(3), "epoch": 7}}, path)
    code, _, err = command(f"--arch={ARCH}", f"--file={path}", f"--output={folder}")
    assert code == 2 and "'epoch' is a int, not a tensor" in err
    tensors = {k: torch.tensor(x) for k, x in pretrained.published(ARCH).items()}
    torch.save({"state_dict": tensors}, path)
    code, _, err = command(f"--arch={ARCH}", f"--file={path}", f"--output={folder}")
    assert code == 0, err
    path.write_bytes(path.read_bytes()[:5000])
    code, _, err = command(f"--arch={ARCH}", f"--file={path}", f"--output={folder}2")
    assert code == 2 and "cut off" in err


def test_a_hub_name_without_a_network(monkeypatch, command):
    """Either the package is missing or the network is: both say what to do by hand."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    name = "hf:timm/hrnet_w48.ms_in1k"
    code, _, err = command("--arch=hrnet_w48", f"--file={name}", "--output=/tmp/none")
    assert code == 2 and "pip install jaxseg[hub]" in err
    url = "https://huggingface.co/timm/hrnet_w48.ms_in1k/resolve/main/model.safetensors"
    assert url in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "arch, rename",
    [
        (ARCH, lambda key: key),
        pytest.param(
            "hrnet_w18_small", lambda k: f"model.{k}", marks=pytest.mark.release
        ),
        pytest.param("fcn_resnet50", lambda key: key, marks=pytest.mark.release),
        pytest.param("resnet50", lambda k: f"module.{k}", marks=pytest.mark.release),
    ],
)
def test_a_stage_starts_from_each_source(arch, rename, command, tmp_path):
    """Command, artifact, transplant of the backbone, one step, receipt."""
    path, folder = tmp_path / "w.safetensors", tmp_path / "imported"
    save(path, arch, rename)
    code, _, err = command(f"--arch={arch}", f"--file={path}", f"--output={folder}")
    assert code == 0, err
    backbone = jaxseg.load(folder).manifest["model"]["backbone"]
    child = tiny.train(
        model={"backbone": backbone, "head": {"name": "linear"}},
        steps=1,
        batch_size=2,
        samples=0,
        evaluations={"validation": {"count": 1}},
        parents={"start": "weights"},
        starts=[{"parent": "start", "take": {"backbone": "backbone"}}],
    )
    child["data"] = child["data"] | {"size": [32, 32], "augment": [{"name": "crop"}]}
    stages = {"weights": {"kind": "imported", "file": str(folder)}, "child": child}
    if backbone["name"] == "vit":  # one map without the class token
        child["model"]["backbone"] = backbone | {"class_map": False}
    outcome = runs.run({"stages": stages}, tmp_path / "run")
    assert outcome.ok, outcome.errors
    box = store.Store(tmp_path / "run")
    keys = {box.manifest(key)["name"]: key for key in box.stored()}
    (receipt,) = jsonl.read_json(box.folder(keys["child"]) / "receipt.json")
    variables = jaxseg.load(folder).variables
    own = trees.num_parameters(variables["params"]["backbone"])
    assert receipt["copied_parameters"] >= own
    leaves = {
        f"{collection}/{path}"
        for collection, tree in variables.items()
        for path in trees.flatten(tree)
        if path.startswith("backbone/")
    }
    assert set(receipt["copied"]) == leaves
