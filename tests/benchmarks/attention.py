"""How often a network says what it attends to: beside running dynamics, and of several hundred atoms.

    python -m tests.benchmarks.attention [--seconds 10]

The first counts answers per second while dynamics of the same 42 atoms runs in the same process, the second times one
answer about 378 atoms of the same kind. What the page then draws is not in it.
"""

import argparse
import threading
import time

import so3lab
from so3lab.attention import look_inside
from so3lab.dynamics import Control
from so3lab.dynamics.live import LiveDynamics
from so3lab.structures import read_structure


def answers_per_second(seconds: float) -> float:
    """Of the network, while dynamics of 42 atoms runs beside it."""
    potential, atoms = so3lab.load("ala3"), read_structure("ala3")
    live = LiveDynamics(potential, [atoms], control=Control(temperature_K=300.0))
    ended = threading.Event()

    def run() -> None:
        for _ in live.run():
            if ended.is_set():
                return

    thread = threading.Thread(target=run)
    thread.start()
    while live.frames() < 20:
        time.sleep(0.05)
    _ = look_inside(potential, live.atoms()).attention
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        _ = look_inside(potential, live.atoms()).attention
        count += 1
    ended.set()
    thread.join()
    return count / seconds


def answer_s(copies: int = 9) -> float:
    """Seconds for an answer about so many copies of 42 atoms, after the first, which compiles."""
    potential, one = so3lab.load("ala3"), read_structure("ala3")
    many = one.copy()
    for number in range(1, copies):
        other = one.copy()
        other.positions += (0.0, 7.0 * (number // 3), 4.5 * (number % 3))
        many += other
    _ = look_inside(potential, many).attention
    began = time.monotonic()
    _ = look_inside(potential, many).attention
    return time.monotonic() - began


def main() -> None:
    """Measure both, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    print(f"attention of 42 atoms beside their dynamics: {answers_per_second(options.seconds):.1f} answers per second")
    print(f"attention of 378 atoms: {answer_s():.2f} s")


if __name__ == "__main__":
    main()
