"""One fault in one of Python's pools: python_faults.py (Pool|ProcessPoolExecutor) FAULT

Prints what came of it as four numbers: results, verdicts (exceptions), items that were not answered within the limit,
and how many of ten more items on the same pool gave their results. `faults` (tests/src/bin/faults.rs) runs this and
prints the table. `killed` and `interrupted` print `ready` and work until the caller has done what it does.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor

N_WORKERS, N_ITEMS, FAULTY = 4, 100, 37
LIMIT = 10.0


def item(number, fault):
    if number == FAULTY:
        misbehave(fault)
    time.sleep(1.0 if fault in ("killed", "interrupted") else 0.005)
    return number * number


def misbehave(fault):
    if fault == "raises":
        raise RuntimeError("on purpose")
    if fault == "exits":
        os._exit(3)
    if fault == "aborts":
        os.abort()
    if fault == "segfaults":
        ctypes.string_at(0)
    if fault == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "is stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if fault == "never ends":
        time.sleep(1000)


def fail():
    raise RuntimeError("on purpose")


def collect(waits):
    """Results, exceptions and what neither came of in time."""
    deadline = time.monotonic() + LIMIT
    counts = [0, 0, 0]
    for number, wait in waits:
        try:
            assert wait(max(0.0, deadline - time.monotonic())) == number * number
            counts[0] += 1
        except (multiprocessing.TimeoutError, TimeoutError):
            counts[2] += 1
        except Exception:
            counts[1] += 1
    return counts


def main():
    kind, fault = sys.argv[1:]
    initializer = fail if fault == "initializer" else None
    if kind == "Pool":
        pool = multiprocessing.Pool(N_WORKERS, initializer)

        def send(number, fault):
            return number, pool.apply_async(item, (number, fault)).get

        def workers():
            return [process.pid for process in pool._pool]
    else:
        pool = ProcessPoolExecutor(N_WORKERS, initializer=initializer)

        def send(number, fault):
            try:
                return number, pool.submit(item, number, fault).result
            except Exception as error:  # A broken pool takes nothing any more.
                return number, lambda timeout, error=error: throw(error)

        def workers():
            return list(pool._processes)

    if fault == "idle":
        collect([send(number, "") for number in range(N_ITEMS)])
        time.sleep(0.2)
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
    waits = [send(number, fault) for number in range(N_ITEMS)]
    if fault in ("killed", "interrupted"):
        time.sleep(0.5)
        print("ready", flush=True)
        # As most programs do it: without a limit.
        for _, wait in waits:
            wait(None)
        return
    counts = collect(waits)
    more = collect([send(number, "") for number in range(10)])[0]
    print(*counts, more, flush=True)
    # Some of these pools cannot be ended.
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(0)


def throw(error):
    raise error


if __name__ == "__main__":
    main()
