"""G10b, G11, G13: bytes and time that a key costs on a million lines of four logs at 200x50 while the list scrolls, beside
lnav; and memory for each event held. Give the folder that holds `src0.log` to `src3.log` (`merge.py` makes them)."""
import os, statistics, sys, time

from server import MIDWATCH
from term import Term

FOLDER = sys.argv[1]
TIMES = int(sys.argv[2]) if len(sys.argv) > 2 else 40
FILES = [f"{FOLDER}/src{i}.log" for i in range(4)]
HELD = 1_000_000


def settle(term):
    # A program whose clock ticks is never quiet.
    term.read(0.6, 6)


def last_byte(term, quiet):
    """Bytes that come until it is quiet, and the seconds from now to the last of them."""
    began, size, last = time.monotonic(), 0, None
    while True:
        data, _ = term.read(0.0005, 0.0005)
        now = time.monotonic()
        if data:
            size, last = size + len(data), now
        elif now - (last or began) > quiet:
            return size, (last or now) - began


def keys(argv, env, to_top):
    term = Term(argv, env)
    settle(term)
    rss = term.rss_mib()
    term.send(to_top)
    settle(term)
    for _ in range(60):
        term.send(b"j")
        term.read(0.02, 1)
    settle(term)
    found = []
    for _ in range(TIMES):
        term.send(b"j")
        # Within 40 ms: the list alone. What midwatch draws below it follows when the selection rests.
        found.append(last_byte(term, 0.04))
        term.read(0.12, 0.5)
    term.close()
    return statistics.median(size for size, _ in found), statistics.median(taken for _, taken in found) * 1e3, rss


home = {"HOME": FOLDER}
lnav = keys(["lnav", *FILES], home, b"g")
ours = keys([MIDWATCH, "open", *FILES], home, b"gg")
print(f"scroll by a key    lnav {lnav[0]:6.0f} B {lnav[1]:7.2f} ms   midwatch {ours[0]:6.0f} B {ours[1]:7.2f} ms   ratio bytes {ours[0] / lnav[0]:.2f}, time {ours[1] / lnav[1]:.2f}")
print(f"memory             lnav {lnav[2]:6.1f} MiB        midwatch {ours[2]:6.1f} MiB, {ours[2] * 1024 * 1024 / HELD:.0f} B an event, the program included")
