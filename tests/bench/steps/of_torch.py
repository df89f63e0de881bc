"""PyTorch's side: `python -m tests.bench.steps.of_torch NETWORK DTYPE LAYOUT`.

LAYOUT: "nchw", "channels-last", or "compile", which is `torch.compile` of the better of
both for convolutions, channels-last. SGD with momentum in its fused form.
"""

import contextlib
import os
import sys
import time

import torch
from torch.nn import functional

from tests.bench.steps import networks, twins, worker


def focal(logits, heat):
    """CenterNet's loss on centres, summed."""
    log_p, log_rest = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    positive = -torch.exp(2 * log_rest) * log_p
    negative = -((1 - heat) ** 4) * torch.exp(2 * log_p) * log_rest
    return torch.where(heat == 1, positive, negative).sum()


def detection(outputs, targets):
    """Focal loss and L1 at the centres; the targets are encoded beforehand."""
    count, cells = targets["cells"].numel(), targets["cells"][:, None]
    loss = focal(outputs["heat"], targets["heat"]) / count
    for name, weight in (("offset", 1.0), ("size", 0.1)):
        index = cells.expand(-1, 2, -1)
        found = outputs[name].flatten(2).gather(2, index)
        loss = loss + weight * (found - targets[name]).abs().sum() / count
    return loss


def encoded(batch, side, classes):
    """Targets of `detection`: one peak of heat for each box."""
    boxes = torch.from_numpy(batch["boxes"]) * side
    low, high = boxes[..., :2], boxes[..., 2:]
    center = (low + high) / 2
    cells = center.floor().clamp(0, side - 1)
    flat = (cells[..., 0] * side + cells[..., 1]).long()
    heat = torch.zeros(len(boxes), classes, side * side)
    heat[
        torch.arange(len(boxes))[:, None], torch.from_numpy(batch["box_labels"]), flat
    ] = 1
    return {
        "heat": heat.reshape(len(boxes), classes, side, side),
        "cells": flat,
        "offset": (center - cells).transpose(1, 2),
        "size": (high - low).transpose(1, 2),
    }


def problem(network, device):
    """(inputs of the module, loss of its outputs)."""
    batch = worker.batch(network)
    image = torch.from_numpy(batch["image"]).permute(0, 3, 1, 2).contiguous()
    inputs, task = [image.to(device)], network.task
    if task == "simmim":
        pixels = torch.from_numpy(batch["mask"]).to(device)[:, None]
        inputs.append(pixels[:, 0, :: worker.PATCH, :: worker.PATCH])
        loss = lambda y: ((y - inputs[0]).abs() * pixels).sum() / (3 * pixels.sum())
    elif task == "detection":
        targets = encoded(batch, network.size // 4, network.outputs)
        targets = {name: x.to(device) for name, x in targets.items()}
        loss = lambda y: detection(y, targets)
    else:
        name = "label" if task == "classification" else "segmentation"
        labels = torch.from_numpy(batch[name]).long().to(device)
        plain = lambda y: y["out"] if isinstance(y, dict) else y
        loss = lambda y: functional.cross_entropy(plain(y).float(), labels)
    return inputs, loss


def main(name, dtype, layout):
    """Builds the module, compiles it where asked, and serves."""
    network = (networks.NETWORKS | networks.on_accelerator())[name]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module = twins.network(network.twin, network.task, network.outputs).to(device)
    inputs, loss_of = problem(network, device)
    if layout != "nchw":
        module = module.to(memory_format=torch.channels_last)
        inputs[0] = inputs[0].contiguous(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in module.parameters())
    options = {"lr": 0.01, "momentum": 0.9, "fused": True}
    optimizer = torch.optim.SGD(module.parameters(), **options)
    run = torch.compile(module) if layout == "compile" else module
    mixed = contextlib.nullcontext
    if dtype == "bfloat16":
        mixed = lambda: torch.autocast(device.type, torch.bfloat16)

    def train():
        module.train()
        optimizer.zero_grad(set_to_none=True)
        with mixed():
            outputs = run(*inputs)
        loss = loss_of(outputs)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def predict():
        module.eval()
        with torch.no_grad(), mixed():
            return run(*inputs)

    def wait(result):
        if device.type == "cuda":
            torch.cuda.synchronize()

    seconds = []
    for step in (train, predict):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
        step()
    wait(None)
    on_host = device.type == "cpu"
    ready = {
        "versions": f"torch {torch.__version__}",
        "device": "cpu" if on_host else torch.cuda.get_device_name(),
        "parameters": parameters,
        "compile_s": seconds[0] if layout == "compile" else None,
        "predict_compile_s": seconds[1] if layout == "compile" else None,
        "losses": [float(train()) for _ in range(3)],
    }
    if on_host:
        worker.reset_peak()
    peak = worker.resident_peak if on_host else torch.cuda.max_memory_allocated
    worker.serve(ready, train, predict, wait, peak)


if __name__ == "__main__":
    main(*sys.argv[1:])
