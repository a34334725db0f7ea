"""Where partitions are worked; what faults do to that is in tests/faults/test_workers.py."""

import signal
import threading
import time

import pytest

from pipeline.engine import workers


def test_ctrl_c_is_noticed_though_the_main_thread_waits_without_a_limit():
    """The signal reaches another thread, so that nothing but the alarm wakes the main one."""
    lock, over = threading.Lock(), threading.Event()
    lock.acquire()
    began = time.monotonic()

    def interrupt():
        time.sleep(0.2)  # the main thread waits by now
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        over.wait(5)
        lock.release()

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt), workers._ctrl_c_is_noticed():
        lock.acquire()
    took_s = time.monotonic() - began
    over.set()
    other.join()
    assert took_s < 2
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
