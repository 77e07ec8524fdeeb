/* A disk that fails when it is told to: loaded before the C library into the process that appends.
 *
 * The file that MIDWATCH_TEST_FAULTS names says what fails, in one line: "write" or "sync", an errno,
 * every how manieth call, and how the file's name ends. No such file: nothing fails. The errno 0: the process is
 * killed there, in the middle of that write or before that sync. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static unsigned long calls;

/* How much of a write is done before the end. */
struct part { const void *data; size_t size; off64_t at; };

static int fails_at(const char *kind, int fd, const struct part *part) {
    const char *control = getenv("MIDWATCH_TEST_FAULTS");
    if (!control) return 0;
    int saved = errno, file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) { errno = saved; return 0; }
    char line[200], what[16], end[100], link[64], path[4096];
    ssize_t length = read(file, line, sizeof line - 1);
    close(file);
    errno = saved;
    if (length <= 0) return 0;
    line[length] = 0;
    int error; unsigned long every;
    if (sscanf(line, "%15s %d %lu %99s", what, &error, &every, end) != 4 || strcmp(what, kind)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length <= 0) { errno = saved; return 0; }
    path[length] = 0;
    size_t tail = strlen(end);
    int matches = !strcmp(end, "*") ? strstr(path, "/events.") != NULL : (size_t)length >= tail && !strcmp(path + length - tail, end);
    if (!matches || __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % every) return 0;
    if (!error) {
        if (part) syscall(SYS_pwrite64, fd, part->data, part->size / 2, part->at);
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = error;
    return 1;
}

static int fails(const char *kind, int fd) {
    return fails_at(kind, fd, NULL);
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

ssize_t write(int fd, const void *data, size_t size) {
    return fails("write", fd) ? -1 : syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    struct part part = {data, size, at};
    return fails_at("write", fd, &part) ? -1 : NEXT(ssize_t (*)(int, const void *, size_t, off_t), "pwrite")(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    struct part part = {data, size, at};
    return fails_at("write", fd, &part) ? -1 : NEXT(ssize_t (*)(int, const void *, size_t, off64_t), "pwrite64")(fd, data, size, at);
}

int fsync(int fd) {
    return fails("sync", fd) ? -1 : NEXT(int (*)(int), "fsync")(fd);
}

int fdatasync(int fd) {
    return fails("sync", fd) ? -1 : NEXT(int (*)(int), "fdatasync")(fd);
}
