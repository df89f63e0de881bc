"""Tensors of a PyTorch file as NumPy: safetensors, or .pth without running code."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors import flax as safetensors_flax

from jaxseg.core import errors, trees

# What training scripts wrap a state dict in, and put before its names.
WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
PREFIXES = ("module.", "model.")
LICENCE_KEYS = ("license", "licence", "modelspec.license")
HUB = "hf:"  # hf:timm/resnet50.a1_in1k


def read(path: Path) -> dict[str, np.ndarray]:
    """{name: array} of a file; UserError where it is not a plain file of tensors, or
    one of them is not finite.
    """
    if not path.is_file():
        raise errors.UserError(f"{path}: no such file")
    pickled = path.suffix in (".pth", ".pt", ".bin", ".tar", ".pkl", ".ckpt")
    tensors = _read_pickle(path) if pickled else _read_safetensors(path)
    if not tensors:
        raise errors.UserError(f"{path}: holds no tensors")
    check_finite(tensors, path)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name[len(prefix) :]: x for name, x in tensors.items()}
    return tensors


def check_finite(tree: Mapping[str, Any], path: Path) -> None:
    """UserError naming the first tensor with a NaN or an infinity."""
    name = trees.not_finite(tree)
    if name is not None:
        raise errors.UserError(
            f"{path}: tensor {name!r} holds values that are not finite: the file is "
            "damaged, or of a training that diverged. Fix: another copy or checkpoint"
        )


def locate(file: str) -> Path:
    """The path of a file by name; `hf:OWNER/NAME` is downloaded once."""
    if not file.startswith(HUB):
        return Path(file).expanduser()
    name = file.removeprefix(HUB)
    by_hand = (
        f"Fix: fetch https://huggingface.co/{name}/resolve/main/model.safetensors on a "
        "machine with a network and pass it as the file."
    )
    try:
        import huggingface_hub
    except ImportError:
        raise errors.UserError(
            f"{file}: needs huggingface_hub: pip install jaxseg[hub]. Or: {by_hand}"
        ) from None
    try:
        return Path(huggingface_hub.hf_hub_download(name, "model.safetensors"))
    except Exception as error:  # its own errors, those of requests, of the disk
        reason = str(error).strip().split("\n")[0]
        raise errors.UserError(
            f"{file}: not downloaded ({reason}). {by_hand}"
        ) from error


def licence(path: Path) -> str:
    """What the metadata of a .safetensors file calls its licence, or ""."""
    if path.suffix != ".safetensors":
        return ""
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
    return next((metadata[key] for key in LICENCE_KEYS if key in metadata), "")


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        tensors = safetensors_flax.load_file(path)  # knows bfloat16, unlike NumPy's
    except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
        raise errors.UserError(
            f"{path}: not a safetensors file, or cut off ({error})"
        ) from error
    return {name: np.asarray(x) for name, x in tensors.items()}


def _read_pickle(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise errors.UserError(
            f"{path}: needs torch to be read: pip install jaxseg[torch]. Or convert it "
            "to .safetensors where torch is installed."
        ) from None
    try:
        with warnings.catch_warnings():  # about pickle protocols: it reads or it fails
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise errors.UserError(
            f"{path}: not a plain file of tensors, or cut off; nothing in it was run "
            f"({reason})"
        ) from error
    return {name: _numpy(path, name, x) for name, x in _unwrap(path, content).items()}


def _unwrap(path: Path, content: Any) -> dict[str, Any]:
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise errors.UserError(f"{path}: holds a {type(content).__name__}, no tensors")
    return content


def _numpy(path: Path, name: str, value: Any) -> np.ndarray:
    if not hasattr(value, "detach"):
        raise errors.UserError(
            f"{path}: {name!r} is a {type(value).__name__}, not a tensor. Fix: save "
            "model.state_dict() alone."
        )
    value = value.detach()
    return value.float().numpy() if value.is_floating_point() else value.numpy()
