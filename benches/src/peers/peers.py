"""Python's `multiprocessing` and `concurrent.futures`, measured on request.

Reads lines `work size`, answers each with nanoseconds or `error why`, and ends with its input. Processes are forked, pools have
two workers and are kept from request to request, results are checked outside the measured time.
"""

import concurrent.futures
import multiprocessing
import statistics
import sys
import time

FORK = multiprocessing.get_context("fork")
pools = {}
inputs = {}


def square(x):
    return (x * x) & 0xFFFFFFFFFFFFFFFF


def echo(data):
    return data


def mp_pool():
    if "mp" not in pools:
        pools["mp"] = FORK.Pool(2)
    return pools["mp"]


def executor():
    if "executor" not in pools:
        pools["executor"] = concurrent.futures.ProcessPoolExecutor(2, mp_context=FORK)
        list(pools["executor"].map(square, range(4)))
    return pools["executor"]


def numbers(n):
    if n not in inputs:
        inputs[n] = list(range(n))
    return inputs[n]


def timed(work):
    start = time.perf_counter_ns()
    result = work()
    return time.perf_counter_ns() - start, result


def squares_by(work, n):
    took, squares = timed(work)
    assert len(squares) == n and squares[7] == 49 and squares[n - 1] == square(n - 1)
    return took


def hello(_):
    return 0


def pool_map(n):
    pool, items = mp_pool(), numbers(n)
    return squares_by(lambda: pool.map(square, items), n)


def pool_map_single(n):
    pool, items = mp_pool(), numbers(n)
    return squares_by(lambda: pool.map(square, items, chunksize=1), n)


def executor_map(n):
    pool, items = executor(), numbers(n)
    return squares_by(lambda: list(pool.map(square, items, chunksize=n // 8)), n)


def executor_echo(n):
    pool, data = executor(), b"\x07" * 1_000_000
    took, echoes = timed(lambda: list(pool.map(echo, [data] * n)))
    assert len(echoes) == n and echoes[-1] == data
    return took


def apply_one(n):
    """The median of n calls, one at a time."""
    pool = mp_pool()
    times = []
    for x in range(n):
        took, result = timed(lambda: pool.apply(square, (x,)))
        assert result == x * x
        times.append(took)
    return statistics.median(times)


def executor_start(n):
    """The median of n pools of two: made, first result, stopped."""

    def once():
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=FORK) as pool:
            return pool.submit(square, 3).result()

    times = []
    for _ in range(n):
        took, result = timed(once)
        assert result == 9
        times.append(took)
    return statistics.median(times)


def measured(work, barrier, times):
    barrier.wait()
    began = time.monotonic_ns()
    work()
    times.put((began, time.monotonic_ns()))


def together(works):
    """From the first beginning to the last end of processes that begin at once."""
    barrier, times = FORK.Barrier(len(works)), FORK.SimpleQueue()
    crew = [FORK.Process(target=measured, args=(work, barrier, times)) for work in works]
    for process in crew:
        process.start()
    spans = [times.get() for _ in crew]
    for process in crew:
        process.join()
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def value_update(n):
    value = FORK.Value("Q", 0)

    def work():
        for _ in range(n):
            with value.get_lock():
                value.value += 1

    took = together([work, work])
    assert value.value == 2 * n
    return took


def queue_ends(n, n_pairs):
    queue, sums = FORK.SimpleQueue(), FORK.SimpleQueue()
    each = n // n_pairs

    def put():
        for number in range(each):
            queue.put(number)

    def get():
        total = 0
        for _ in range(each):
            total += queue.get()
        sums.put(total)

    took = together([put, get] * n_pairs)
    assert sum(sums.get() for _ in range(n_pairs)) == n_pairs * each * (each - 1) // 2
    return took


def queue_1_1(n):
    return queue_ends(n, 1)


def queue_2_2(n):
    return queue_ends(n, 2)


def connection_ends(n, message):
    from multiprocessing.connection import Client, Listener

    key = b"the key of the bench"

    def send(address):
        with Client(address, authkey=key) as connection:
            for _ in range(n):
                connection.send(message)
            connection.recv()

    with Listener(family="AF_UNIX", authkey=key) as listener:
        sender = FORK.Process(target=send, args=(listener.address,))
        sender.start()
        with listener.accept() as connection:
            start = time.perf_counter_ns()
            for _ in range(n):
                received = connection.recv()
            took = time.perf_counter_ns() - start
            connection.send(None)
            assert received == message
        sender.join()
    return took


def connection_numbers(n):
    return connection_ends(n, 12345678)


def connection_bytes(n):
    return connection_ends(n, b"x" * (1 << 20))


WORKS = [
    connection_numbers,
    connection_bytes,
    hello,
    pool_map,
    pool_map_single,
    executor_map,
    executor_echo,
    apply_one,
    executor_start,
    value_update,
    queue_1_1,
    queue_2_2,
]


def main():
    works = {work.__name__: work for work in WORKS}
    for line in sys.stdin:
        name, size = line.split()
        try:
            answer = works[name](int(size))
        except Exception as error:
            answer = f"error {type(error).__name__}: {error}".replace("\n", " ")
        print(answer, flush=True)
    if "mp" in pools:
        pools["mp"].terminate()
        pools["mp"].join()
    if "executor" in pools:
        pools["executor"].shutdown()


main()
