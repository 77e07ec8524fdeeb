"""G9, G9b: alerts over one connection, in batches of 100, until 100 000 distinct ones are held; and a list of 10 000.
midwatch answers when they are durable; Alertmanager holds them in memory only. Rounds take turns."""
import http.client, json, os, shutil, statistics, subprocess, sys, tempfile, time

from server import Server, alerts, ends_with_us, free_port, wait_for

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
ALL = alerts(100_000)


class Alertmanager:
    def __init__(self):
        self.folder, self.port = tempfile.mkdtemp(prefix="alertmanager-bench-"), free_port()
        with open(f"{self.folder}/c.yml", "w") as file:
            file.write("route:\n  receiver: none\n  group_wait: 30s\nreceivers:\n- name: none\n")
        self.process = subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={self.folder}/c.yml", f"--storage.path={self.folder}/d", f"--web.listen-address=127.0.0.1:{self.port}",
             "--cluster.listen-address=", "--log.level=error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=ends_with_us)
        self.connection = wait_for(self.port, "/-/ready")
        self.headers = {"Content-Type": "application/json"}

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid):
    return next(int(line.split()[1]) / 1024 for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))


def post(target, bodies):
    began = time.monotonic()
    for body in bodies:
        target.connection.request("POST", "/api/v2/alerts", body, target.headers)
        answer = target.connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said
    return time.monotonic() - began


def listed(target):
    taken = []
    for _ in range(5):
        began = time.monotonic()
        target.connection.request("GET", "/api/v2/alerts", headers=target.headers)
        said = target.connection.getresponse().read()
        taken.append(time.monotonic() - began)
    assert len(json.loads(said)) == 10_000
    return statistics.median(taken)


def round_of(make):
    target = make()
    pid = target.process.pid
    before = cpu(pid)
    seconds = post(target, ALL[:100])
    used = cpu(pid) - before
    time.sleep(0.5)
    get = listed(target)
    before = cpu(pid)
    seconds += post(target, ALL[100:])
    used += cpu(pid) - before
    time.sleep(1)
    result = (100_000 / seconds, used * 10, rss(pid), get * 1e3)
    target.close()
    return result


results = {"alertmanager": [], "midwatch": []}
for _ in range(ROUNDS):
    results["alertmanager"].append(round_of(Alertmanager))
    results["midwatch"].append(round_of(Server))
names = ["alerts_per_s", "cpu_us_per_alert", "rss_mib_100k", "list_10k_ms"]
medians = {who: [statistics.median(column) for column in zip(*rows)] for who, rows in results.items()}
for place, name in enumerate(names):
    peer, own = medians["alertmanager"][place], medians["midwatch"][place]
    print(f"{name:18} alertmanager {peer:10.1f}   midwatch {own:10.1f}   ratio {own / peer:6.3f}")
