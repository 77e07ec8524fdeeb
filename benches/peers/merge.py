"""G1, G1b: four logs of 250 000 lines each, opened, merged and filtered, beside lnav without a screen; taking turns. Give
the folder that holds `src0.log` to `src3.log`; they are made if they are not there."""
import datetime, os, statistics, subprocess, sys, time

from server import MIDWATCH

FOLDER = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
FILES = [f"{FOLDER}/src{i}.log" for i in range(4)]
ALERTS = ["HighLatency", "DiskAlmostFull", "OOMKilled", "CertExpiring", "ReplicationLag", "ErrorBudgetBurn"]


def make(path, number):
    day = datetime.datetime(2026, 11, 20)
    with open(path, "w") as out:
        for i in range(250_000):
            at = day + datetime.timedelta(milliseconds=i * 345 + number * 83)
            j = i * 4 + number
            out.write(f"{at.isoformat(timespec='milliseconds')}Z host-{j * 7919 % 800:03} alert={ALERTS[j * 31 % 6]} sev=P{1 + j % 4} region-{number} cluster=c{j % 50} value={j * 7919 % 5000} threshold=500 for=5m trace={j * 2654435761 % 4294967296:08x} runbook=rb/{j % 300}\n")


for number, path in enumerate(FILES):
    if not os.path.exists(path):
        make(path, number)


def run(argv):
    began = time.monotonic()
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ, LC_ALL="C.UTF-8", HOME=FOLDER))
    lines = sum(chunk.count(b"\n") for chunk in iter(lambda: child.stdout.read(1 << 20), b""))
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, argv
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, lines


commands = {
    "lnav": ["lnav", "-n", "-c", ":filter-in OOMKilled", *FILES],
    "midwatch": [MIDWATCH, "events", "OOMKilled", "--file", *FILES],
}
found = {name: [] for name in commands}
for turn in range(ROUNDS + 1):
    for name, argv in commands.items():
        taken = run(argv)
        if turn:
            found[name].append(taken)
medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items()}
for name, (wall, cpu, mib, lines) in medians.items():
    print(f"{name:10} wall {wall:6.3f} s   cpu {cpu:6.3f} s   peak {mib:7.1f} MiB   {lines:.0f} lines")
print("ratio      wall {:6.3f}     cpu {:6.3f}     peak {:7.3f}".format(*(a / b for a, b in zip(medians["midwatch"][:3], medians["lnav"][:3]))))
