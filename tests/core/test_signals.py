"""Requests to stop are remembered, and the handlers come back."""

import os
import signal

import pytest

from jaxseg.core import signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_being_asked_to_end(number):
    before = signal.getsignal(number)
    with signals.interruptible(None) as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), number)
        assert interrupted()
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_at_once():
    with pytest.raises(KeyboardInterrupt), signals.interruptible(None):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_limit_of_time():
    with signals.interruptible(0.0) as interrupted:
        assert interrupted()
    with signals.interruptible(1.0) as interrupted:
        assert not interrupted()
