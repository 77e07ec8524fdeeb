"""G10, G10c: bytes that a key costs at 200x50: scrolling a list by a line beside less, moving the selection beside htop;
and bytes in a minute in which nothing happens. The list is the Alerts pane over 2 000 alerts of a server that is quiet."""
import os, statistics, sys, tempfile, time

from server import Server, alerts
from term import Term


def measure(term, key, times, quiet):
    sizes = []
    for _ in range(times):
        term.send(key)
        sizes.append(len(term.read(quiet, 2.0)[0]))
    return statistics.median(sizes)


def less():
    with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
        for i in range(5_000):
            line = f"2026-11-21T02:{i // 60 % 60:02}:{i % 60:02}.{i % 1000:03}Z host-{i * 7919 % 800:03} service-{i % 50} request {i * 2654435761 % 4294967296:08x} answered 200 after {i * 7919 % 5000} ms, {i % 37} retries, runbook=rb/{i % 300} trace={i * 40503 % 65536:04x}"
            file.write(line.ljust(150 + i % 28, "x") + "\n")
        file.flush()
        term = Term(["less", file.name])
        term.read(0.3, 3)
        found = measure(term, b"j", 25, 0.15)
        term.close()
    return found


def htop():
    term = Term(["htop", "-d", "600"])
    term.read(0.5, 3)
    found = measure(term, b"\x1b[B", 15, 0.15)
    term.close()
    return found


server = Server()
for body in alerts(2_000):
    server.connection.request("POST", "/api/v2/alerts", body, server.headers)
    server.connection.getresponse().read()
argv, env = server.console()
term = Term(argv, env)
term.read(1.0, 6)
term.send(b"4")
term.read(0.6, 3)
# Within 40 ms: the list alone. The detail below follows when the selection rests.
alone = measure(term, b"j", 10, 0.04)
term.read(0.4, 2)
moving = measure(term, b"j", 8, 0.3)
for _ in range(60):
    term.send(b"j")
    term.read(0.02, 1)
term.read(0.5, 2)
scroll_alone = measure(term, b"j", 25, 0.04)
term.read(0.5, 2)
scroll = measure(term, b"j", 15, 0.3)
term.read(1.0, 3)
began, idle = time.monotonic(), 0
while time.monotonic() - began < 60:
    idle += len(term.read(5, 5)[0])
rss = term.rss_mib()
term.close()
server.close()
peer_less, peer_htop = less(), htop()
print(f"scroll a line      less {peer_less:6.0f} B   midwatch list alone {scroll_alone:6.0f} B ({scroll_alone / peer_less:.2f})   with detail {scroll:6.0f} B")
print(f"move the selection htop {peer_htop:6.0f} B   midwatch list alone {alone:6.0f} B ({alone / peer_htop:.2f})   with detail {moving:6.0f} B")
print(f"a quiet minute     midwatch {idle} B   (console {rss:.1f} MiB)")
