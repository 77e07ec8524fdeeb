"""A program on a pseudo-terminal of 200x50: what it writes, and when."""
import fcntl, os, select, signal, struct, termios, time

ROWS, COLUMNS = 50, 200


class Term:
    def __init__(self, argv, env=None):
        self.began = time.monotonic()
        self.fd, side = os.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(side, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(side, fd)
            os.close(self.fd)
            os.execvpe(argv[0], argv, dict(os.environ, TERM="xterm-256color", LC_ALL="C.UTF-8", **(env or {})))
        os.close(side)

    def read(self, quiet, limit, mark=None):
        """All that is written until nothing came for `quiet` seconds, at most for `limit`; with `mark`, until that was
        seen. Answers the queries that programs wait for. Returns the bytes and the seconds until the mark."""
        out, seen, last, began = b"", None, None, time.monotonic()
        while True:
            now = time.monotonic()
            wait = began + limit - now
            if last is not None and (mark is None or seen is not None):
                wait = min(wait, last + quiet - now)
            elif last is None and mark is None:
                wait = min(wait, began + quiet - now)
            if wait <= 0 or not select.select([self.fd], [], [], wait)[0]:
                return out, seen
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return out, seen
            if not data:
                return out, seen
            last = time.monotonic()
            out += data
            for query, answer in ((b"\x1b[6n", b"\x1b[1;1R"), (b"\x1b[c", b"\x1b[?62;22c")):
                if query in data:
                    os.write(self.fd, answer)
            if mark is not None and seen is None and mark in out:
                seen = last - self.began

    def send(self, keys):
        os.write(self.fd, keys)

    def rss_mib(self):
        for line in open(f"/proc/{self.pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024

    def close(self):
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(self.pid, kind)
            except ProcessLookupError:
                break
            for _ in range(100):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    os.close(self.fd)
                    return
                time.sleep(0.01)
        os.close(self.fd)
