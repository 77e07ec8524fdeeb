"""G12b: from fork to the first rows, where a million events are held: of a server's timeline, and of four logs; beside lnav
on the same four logs, taking turns. Give the folder that holds `src0.log` to `src3.log` (`merge.py` makes them)."""
import datetime, json, os, statistics, sys, time

from server import MIDWATCH, Server
from term import Term

FOLDER = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
EVENTS = int(os.environ.get("EVENTS", 1_000_000))
FILES = [f"{FOLDER}/src{i}.log" for i in range(4)]
STEP = 1_000

server = Server()
begins = datetime.datetime.fromtimestamp(time.time() - 86_400, datetime.timezone.utc)
for first in range(0, EVENTS, STEP):
    lines = "\n".join(json.dumps({
        "kind": "report", "at": (begins + datetime.timedelta(milliseconds=i * 86_000_000 // EVENTS)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "system": f"site/host-{i * 7919 % 800}", "severity": ["info", "warning", "error", "critical"][i * 31 % 4],
        "title": f"NEWEST-ROW {i}" if i == EVENTS - 1 else f"host-{i * 7919 % 800:03} value={i * 7919 % 5000} threshold=500 for=5m", "text": f"trace={i * 2654435761 % 4294967296:08x} cluster=c{i % 50} runbook=rb/{i % 300}",
    }) for i in range(first, min(first + STEP, EVENTS)))
    server.connection.request("POST", "/api/v1/events", lines.encode(), {**server.headers, "Content-Type": "application/jsonl"})
    answer = server.connection.getresponse()
    words = answer.read()
    assert answer.status in (200, 202, 204), words

argv, env = server.console()
# What stands on the screen first: lnav shows its newest lines, midwatch its newest events.
programs = {
    "lnav": (["lnav", *FILES], None, b"", b"threshold=500"),
    "server": (argv, env, b"3", b"NEWEST-ROW"),
    "open": ([MIDWATCH, "open", *FILES], {"HOME": server.folder}, b"", b"threshold=500"),
}
found = {name: [] for name in programs}
for turn in range(ROUNDS + 1):
    for name, (argv, env, keys, mark) in programs.items():
        term = Term(argv, env)
        term.send(keys)
        _, seen = term.read(0.5, 20, mark)
        if turn and seen is not None:
            found[name].append((seen * 1e3, term.rss_mib()))
        term.close()
server.close()
medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items() if rows}
for name, (milliseconds, mib) in medians.items():
    print(f"{name:10} first rows {milliseconds:7.1f} ms   memory {mib:6.1f} MiB   ratio {milliseconds / medians['lnav'][0]:.3f}")
