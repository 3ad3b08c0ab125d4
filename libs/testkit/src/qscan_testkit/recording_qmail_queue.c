/*
 * recording_qmail_queue: what tests, demo and benchmarks put in the place of the real qmail-queue.
 *
 * It reads message and envelope as qmail-queue(8) does, with its exit codes, and leaves each message as one folder
 * $QSCAN_RECORDER_DIR/<nanoseconds>.<pid>/ with the files message, envelope and facts. The folder gets its name by a
 * rename after everything in it is on disk, so that what has a name without a leading dot is complete.
 *
 * QSCAN_RECORDER_EXIT=N    read everything, keep nothing, exit N.
 * QSCAN_RECORDER_FSYNC=0   do not wait for the disk (benchmarks that do not measure it).
 *
 * facts: what this process was started with, each as `name value` and a NUL; the environment as `env NAME=VALUE`.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_TOO_LONG = 11,
    EXIT_TIMEOUT = 52,
    EXIT_WRITE = 53,
    EXIT_READ = 54,
    EXIT_HOME = 61,
    EXIT_FILES = 66,
    EXIT_BUG = 91,
    ADDRESS_BYTES = 1003, /* with the NUL */
    LIFETIME_S = 86400
};

extern char **environ;
static char buffer[65536];
static size_t have, used;
static int fsync_wanted = 1;

static void out_of_time(int number)
{
    (void) number;
    _exit(EXIT_TIMEOUT);
}

static void put(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) _exit(EXIT_WRITE);
        bytes += written;
        length -= (size_t) written;
    }
}

static ssize_t get(int fd, char *bytes, size_t length)
{
    ssize_t size;

    do size = read(fd, bytes, length);
    while (size < 0 && errno == EINTR);
    if (size < 0) _exit(EXIT_READ);
    return size;
}

static char next(void)
{
    if (used == have) {
        ssize_t size = get(1, buffer, sizeof buffer);
        if (size == 0) _exit(EXIT_READ); /* the envelope was cut: the caller wants nothing to be queued */
        have = (size_t) size;
        used = 0;
    }
    return buffer[used++];
}

/* The rest of one address, its NUL included, copied to the file. */
static void address(FILE *envelope)
{
    size_t length = 0;
    char c;

    do {
        if (length++ == ADDRESS_BYTES) _exit(EXIT_TOO_LONG);
        c = next();
        putc(c, envelope);
    } while (c);
}

static int create(int folder, const char *name)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0) _exit(EXIT_FILES);
    return fd;
}

static void finish(int fd)
{
    if ((fsync_wanted && fsync(fd)) || close(fd)) _exit(EXIT_WRITE);
}

static void start_facts(FILE *facts, int argc, char **argv, unsigned alarm_s)
{
    char cwd[4096];
    struct sigaction pipe_action;
    sigset_t blocked;
    DIR *list = opendir("/proc/self/fd");
    struct dirent *entry;

    sigaction(SIGPIPE, NULL, &pipe_action);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    fprintf(facts, "argc %d%cargv0 %s%c", argc, 0, argv[0], 0);
    fprintf(facts, "pid %ld%cuid %ld%ccwd %s%c", (long) getpid(), 0, (long) getuid(), 0,
            getcwd(cwd, sizeof cwd) ? cwd : "?", 0);
    fprintf(facts, "alarm_s %u%csigpipe_ignored %d%c", alarm_s, 0, pipe_action.sa_handler == SIG_IGN, 0);
    fprintf(facts, "signals_blocked %d%c", !sigisemptyset(&blocked), 0);
    for (int fd = 0; fd < 2; fd++)
        fprintf(facts, "fd%d_access %d%cfd%d_offset %ld%c", fd, fcntl(fd, F_GETFL) & O_ACCMODE, 0, fd,
                (long) lseek(fd, 0, SEEK_CUR), 0);
    fprintf(facts, "fds");
    while (list && (entry = readdir(list))) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(list)) fprintf(facts, " %d", fd);
    }
    putc(0, facts);
    if (list) closedir(list);
    for (char **variable = environ; *variable; variable++) fprintf(facts, "env %s%c", *variable, 0);
}

int main(int argc, char **argv)
{
    unsigned alarm_s = alarm(0);
    const char *where = getenv("QSCAN_RECORDER_DIR");
    const char *code = getenv("QSCAN_RECORDER_EXIT");
    const char *sync = getenv("QSCAN_RECORDER_FSYNC");
    char hidden[64], *facts_text = NULL;
    size_t facts_size = 0;
    struct timespec now;
    FILE *facts = open_memstream(&facts_text, &facts_size);
    FILE *envelope;
    int top, folder, fd;
    ssize_t size;
    char c;

    if (!facts) _exit(EXIT_FILES);
    start_facts(facts, argc, argv, alarm_s); /* before anything of ours is open */
    if (fclose(facts)) _exit(EXIT_FILES);
    signal(SIGALRM, out_of_time);
    signal(SIGPIPE, SIG_IGN);
    alarm(LIFETIME_S);
    fsync_wanted = !sync || strcmp(sync, "0") != 0;
    if (!where || (top = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) _exit(EXIT_HOME);

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(hidden, sizeof hidden, ".%lld%09ld.%ld", (long long) now.tv_sec, now.tv_nsec, (long) getpid());
    if (mkdirat(top, hidden, 0755)) _exit(EXIT_FILES);
    folder = openat(top, hidden, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) _exit(EXIT_FILES);

    fd = create(folder, "facts");
    put(fd, facts_text, facts_size);
    if (close(fd)) _exit(EXIT_WRITE);
    fd = create(folder, "message");
    while ((size = get(0, buffer, sizeof buffer)) > 0) put(fd, buffer, (size_t) size);
    finish(fd);

    envelope = fdopen(fd = create(folder, "envelope"), "w");
    if (!envelope) _exit(EXIT_FILES);
    if ((c = next()) != 'F') _exit(EXIT_BUG);
    putc(c, envelope);
    address(envelope);
    while ((c = next())) {
        if (c != 'T') _exit(EXIT_BUG);
        putc(c, envelope);
        address(envelope);
    }
    putc(c, envelope);
    if (fflush(envelope) || (fsync_wanted && fsync(fd)) || fclose(envelope)) _exit(EXIT_WRITE);
    if (fsync_wanted && fsync(folder)) _exit(EXIT_WRITE);
    if (code) _exit(atoi(code)); /* its hidden folder stays, as qmail-queue's does until qmail-clean comes */
    if (renameat(top, hidden, top, hidden + 1)) _exit(EXIT_FILES);
    if (fsync_wanted && fsync(top)) _exit(EXIT_WRITE);
    return 0;
}
