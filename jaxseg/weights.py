r"""Published weights as an artifact, to start from.

python -m jaxseg.weights --list
python -m jaxseg.weights --arch=hrnet_w48 --file=hrnet_w48.safetensors --output=DIR
python -m jaxseg.weights --arch=resnet50_os8 --output=DIR \
    --file=hf:timm/resnet50.a1_in1k
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import command, errors


@command.entry
def main(argv: Sequence[str]) -> int:
    """Exit code: 2 where the file does not fit."""
    arguments = _parser().parse_args(argv)
    return list_architectures() if arguments.list else import_file(arguments)


def list_architectures() -> int:
    """One line per name that `--arch` takes."""
    from jaxseg.models.pretrained import convert

    row = "{:24} {:24} {:14} {}".format
    print(row("arch", "backbone", "head", "names of"))
    for name, arch in convert.architectures().items():
        backbone = arch.model["backbone"]
        ours = f"{backbone['name']} {backbone['variant']}"
        print(row(name, ours, arch.model["head"]["name"], "; ".join(arch.namings)))
    print("A ResNet or ResNeSt name followed by _os16 or _os8 is its dilated form.")
    return 0


def import_file(arguments: argparse.Namespace) -> int:
    """One `imported` stage alone; its artifact is the folder --output."""
    from jaxseg.transfer import stage, store
    from jaxseg.transfer.running import record

    for name in ("arch", "file", "output"):
        if getattr(arguments, name) is None:
            raise errors.UserError(f"--{name}=... is missing; --help shows an example")
    folder = Path(arguments.output).expanduser()
    if folder.exists() and any(folder.iterdir()):
        raise errors.UserError(f"{folder}: is not empty. Fix: another --output")
    section = {"kind": "imported", "arch": arguments.arch, "file": arguments.file}
    section |= {"channels": arguments.channels, "licence": arguments.licence}
    bound = stage.bind(arguments.arch, section)
    one = stage.resolve(arguments.arch, bound, {})
    scratch = folder.with_name(f".{folder.name}.part")
    with store.writable(folder.parent):
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
        scratch.mkdir(parents=True)
        try:
            context = stage.StageContext(one, {}, folder=scratch, scratch=scratch)
            manifest = record.manifest(one, stage.kind(one.kind).run(context), {})
            store.publish(scratch, folder, manifest)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    heads = ", ".join(f"{k} of {n}" for k, n in manifest["outputs"].items()) or "none"
    print(f"{arguments.arch} ({manifest['naming']} names): {folder}")
    print(f"{manifest['parameters']:,} parameters; head: {heads}")
    if manifest["left_behind"]:
        shown = ", ".join(manifest["left_behind"][:4])
        count = len(manifest["left_behind"])
        print(f"left behind: {count} tensors of another head ({shown}, ...)")
    for row in manifest["licences"]:
        print(f"licence: {row['licence']}")
    print(f"Start from it: configs/finetune.py:data=DATA,start={folder},...")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="what --arch takes")
    parser.add_argument("--arch", metavar="NAME", help="timm's or torchvision's name")
    parser.add_argument(
        "--file",
        metavar="FILE",
        help=".safetensors; .pth where torch is installed; hf:OWNER/NAME",
    )
    parser.add_argument("--output", metavar="DIR", help="the artifact; new or empty")
    parser.add_argument(
        "--channels",
        type=command.count,
        default=3,
        help="of images; an RGB stem is adapted",
    )
    parser.add_argument(
        "--licence", metavar="TEXT", help="of the weights, where the file says none"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
