"""Joining the processes of one command: the only place that calls jax.distributed."""

import re

import jax

from jaxseg.core import errors

AUTO = "auto"
HEARTBEAT = 20  # seconds without a sign of life after which a process counts as dead


def join(coordinator: str | None, process: int | None, processes: int | None) -> None:
    """Joins the processes of one command; to be called before any use of devices.

    coordinator: "HOST:PORT" of process 0, with the number of this process and that of
    all; or "auto" alone, for what JAX detects on TPU pods, SLURM, Open MPI and
    Kubernetes. All None: this process works alone. UserError for anything else.
    """
    _check(coordinator, process, processes)
    if coordinator is None or processes == 1:
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would take SIGTERM, which `signals.interruptible` turns into a saved stop.
    jax.config.update("jax_enable_preemption_service", False)
    given = {} if coordinator == AUTO else {"coordinator_address": coordinator}
    try:
        jax.distributed.initialize(
            **given,
            num_processes=processes,
            process_id=process,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=HEARTBEAT,
        )
    except (RuntimeError, ValueError) as error:
        fix = (
            "give --coordinator=HOST:PORT --process=I --processes=N"
            if coordinator == AUTO
            else "start all processes within five minutes, with the address of process "
            "0, which must be reachable and free"
        )
        raise errors.UserError(
            f"--coordinator={coordinator}: the processes do not find each other "
            f"({error}). Fix: {fix}"
        ) from error


def _check(coordinator: str | None, process: int | None, processes: int | None) -> None:
    """UserError for flags that do not belong together."""
    given = {"coordinator": coordinator, "process": process, "processes": processes}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    allowed = "allowed: --coordinator=HOST:PORT --process=I --processes=N, or auto"
    if coordinator == AUTO and len(missing) < 2:
        found = f"--process={process} --processes={processes}"
        raise errors.UserError(f"--coordinator=auto: found {found}; {allowed}")
    if coordinator == AUTO or len(missing) == len(given):
        return
    if missing:
        present = [f"--{n}={value}" for n, value in given.items() if value is not None]
        raise errors.UserError(
            f"{' '.join(present)}: without {' and '.join(missing)}; {allowed}. Fix: "
            f"add {' and '.join(missing)}"
        )
    if not re.fullmatch(r".+:\d{1,5}", coordinator):
        raise errors.UserError(f"--coordinator: found {coordinator!r}, {allowed}")
    if processes < 1 or not 0 <= process < processes:
        raise errors.UserError(
            f"--process={process} --processes={processes}: allowed are N of 1 or more, "
            "and I from 0 to N - 1"
        )
