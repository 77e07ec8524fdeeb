"""G12: from fork to the first frame, and memory then, beside a bare program of ratatui (HELLO), taking turns. The console
is on a server that knows nothing yet."""
import os, statistics, sys

from server import Server
from term import Term

HELLO = os.environ.get("HELLO")
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 15

server = Server()
argv, env = server.console()
programs = {"midwatch": (argv, env, b"Timeline")}
if HELLO:
    programs["hello"] = ([HELLO], None, b"READY-MARK")
found = {name: [] for name in programs}
for turn in range(ROUNDS + 1):
    for name, (argv, env, mark) in programs.items():
        term = Term(argv, env)
        _, seen = term.read(0.4, 5, mark)
        if turn and seen is not None:
            found[name].append((seen * 1e3, term.rss_mib()))
        term.close()
server.close()
medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items() if rows}
for name, (milliseconds, mib) in medians.items():
    print(f"{name:10} first frame {milliseconds:7.1f} ms   memory {mib:6.1f} MiB")
if "hello" in medians:
    print("ratio      first frame {:7.2f}      memory {:6.2f}".format(*(a / b for a, b in zip(medians["midwatch"], medians["hello"]))))
