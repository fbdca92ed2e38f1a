"""Stop signals are collected or passed on while a block runs; outside of it they do what they always did."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from transfer.process.signals import STOPS, collected, forwarded


@pytest.mark.parametrize("number", STOPS)
def test_a_stop_signal_is_collected_and_ends_nothing(number: int) -> None:
    before = {n: signal.getsignal(n) for n in STOPS}
    with collected() as received:
        assert received == []
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert received == [number, number]
    assert {n: signal.getsignal(n) for n in STOPS} == before


def test_a_stop_signal_is_passed_on_while_the_block_runs() -> None:
    sent: list[int] = []
    before = {n: signal.getsignal(n) for n in STOPS}
    with forwarded(sent.append) as received:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
    assert sent == received == [signal.SIGTERM, signal.SIGUSR1]
    assert {n: signal.getsignal(n) for n in STOPS} == before
    with pytest.raises(KeyError), forwarded(sent.append):
        raise KeyError("the handlers go back whatever happens")
    assert {n: signal.getsignal(n) for n in STOPS} == before


def test_blocks_may_stand_in_each_other() -> None:
    with collected() as outer:
        with collected() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert (inner, outer) == ([signal.SIGTERM], [signal.SIGINT])


def test_another_thread_receives_nothing_and_does_not_fail() -> None:
    """Python lets the main thread alone set handlers."""
    found: list[list[int]] = []

    def work() -> None:
        with collected() as received:
            found.append(received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]]
