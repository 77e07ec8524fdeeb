"""G14: what ten times as much costs: the four logs of `merge.py`, and the same with nine more days before them; midwatch with
itself, in one run. Give the folder that holds `src0.log` to `src3.log`; the longer ones (1.4 GB) are made beside them."""
import os, re, statistics, subprocess, sys, time

from server import MIDWATCH
from term import Term

FOLDER = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
SHORT = [f"{FOLDER}/src{i}.log" for i in range(4)]
LONG = [f"{FOLDER}/long{i}.log" for i in range(4)]

for short, long in zip(SHORT, LONG):
    if not os.path.exists(long):
        day = open(short, "rb").read()
        with open(long, "wb") as out:
            for date in range(11, 21):
                out.write(day.replace(b"2026-11-20T", b"2026-11-%dT" % date).replace(b"2026-11-21T", b"2026-11-%dT" % (date + 1)))


def filtered(files):
    began = time.monotonic()
    child = subprocess.Popen([MIDWATCH, "events", "OOMKilled", "--count", "--file", *files], stdout=subprocess.PIPE, env=dict(os.environ, HOME=FOLDER))
    count = int(re.search(rb"[\d,]+", child.stdout.read()).group().replace(b",", b""))
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    return {"filter s": time.monotonic() - began, "filter cpu s": used.ru_utime + used.ru_stime, "filter peak MiB": used.ru_maxrss / 1024, "hits": count}


def spent(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rests(term):
    while True:
        before = spent(term.pid)
        term.read(0.5, 0.5)
        if spent(term.pid) - before <= 0.01:
            return


def last_byte(term):
    began, last = time.monotonic(), None
    while True:
        data, _ = term.read(0.0005, 0.0005)
        now = time.monotonic()
        if data:
            last = now
        elif now - (last or began) > 0.04:
            return (last or now) - began


def opened(files):
    began = time.monotonic()
    term = Term([MIDWATCH, "open", *files], {"HOME": FOLDER})
    _, seen = term.read(0.5, 60, b"threshold=500")
    rests(term)
    out = {"first rows s": seen, "all held cpu s": spent(term.pid), "memory MiB": term.rss_mib()}
    for name, keys in (("key ms", b"j"), ("next error ms", b"]"), ("to the start ms", b"gg")):
        term.send(b"gg" if name != "to the start ms" else b"G")
        rests(term)
        taken = []
        for _ in range(10):
            term.send(keys)
            taken.append(last_byte(term) * 1e3)
            term.read(0.1, 0.5)
        out[name] = statistics.median(taken)
    before = spent(term.pid)
    term.send(b"/OOMKilled\r")
    rests(term)
    out["filter as one types cpu s"] = spent(term.pid) - before
    before = spent(term.pid)
    term.send(b"f")
    term.read(0.1, 0.2)
    term.send(b"hst99")
    rests(term)
    out["find cpu s"] = spent(term.pid) - before
    term.close()
    return out


found = {"1 M": [], "10 M": []}
for _ in range(ROUNDS):
    for name, files in (("1 M", SHORT), ("10 M", LONG)):
        found[name].append({**filtered(files), **opened(files)})
for figure in found["1 M"][0]:
    one, ten = (statistics.median(row[figure] for row in found[name]) for name in ("1 M", "10 M"))
    print(f"{figure:26} 1 M {one:10.3f}   10 M {ten:10.3f}   growth {ten / one if one else 0:6.2f}")
print("the figure to reach is a growth of 12 at most (G14)")
