"""A midwatch server of a benchmark's own, on a port and in a folder that go with it."""
import ctypes, http.client, os, shutil, socket, subprocess, tempfile, time

MIDWATCH = os.environ.get("MIDWATCH", "target/release/midwatch")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ends_with_us():
    ctypes.CDLL(None).prctl(1, 9)


class Server:
    """`midwatch serve` on TCP, with the token of its intakes."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="midwatch-bench-")
        self.port = free_port()
        self.process = subprocess.Popen(
            [MIDWATCH, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", self.folder],
            env=dict(os.environ, HOME=self.folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=ends_with_us)
        self.connection = wait_for(self.port, "/readyz")
        self.headers = {"Content-Type": "application/json", "Authorization": "Bearer " + self.token("intake")}

    def token(self, of):
        return open(f"{self.folder}/{of}.token").read().strip()

    def console(self):
        """Arguments and environment of a console on this server alone."""
        config = f"{self.folder}/console.toml"
        with open(config, "w") as file:
            file.write(f'accept_new = true\n[servers.bench]\nurl = "ws://127.0.0.1:{self.port}"\ntoken_file = "{self.folder}/console.token"\n')
        return [MIDWATCH, "--config", config], {"HOME": self.folder}

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_for(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return connection
        except OSError:
            connection.close()
        time.sleep(0.005)


def alerts(count, each=100):
    """Bodies for `POST /api/v2/alerts`: so many distinct alerts, firing for two hours."""
    import json
    stamp = lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    # An hour ago: ages of a minute and more stand still for a minute.
    begins, ends = stamp(time.time() - 3600), stamp(time.time() + 7200)
    names = ["DiskAlmostFull", "HighLatency", "QueueTooLong", "ReplicaLags", "CertificateExpires", "TooManyErrors"]
    bodies = []
    for first in range(0, count, each):
        bodies.append(json.dumps([{
            "labels": {"alertname": names[i % 6], "severity": ["warning", "critical", "info"][i % 3], "service": f"service-{i % 50}",
                       "region": f"region-{i % 4}", "instance": f"host-{i % 800:03}:9100", "shard": f"{i:06x}"},
            "annotations": {"summary": f"{names[i % 6]}: {i * 7919 % 5000} is more than 500 on host-{i % 800:03}", "runbook_url": f"https://runbooks.example/{i % 300}"},
            "startsAt": begins, "endsAt": ends, "generatorURL": f"http://prometheus.example/graph?g0.expr=up&id={i}",
        } for i in range(first, first + each)]).encode())
    return bodies
