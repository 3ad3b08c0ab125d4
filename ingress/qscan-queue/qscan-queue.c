/*
 * qscan-queue: stands where qmail-queue stands (QMAILQUEUE=/path/to/qscan-queue).
 *
 * It hands descriptors 0 (message) and 1 (envelope) to qscan-ingressd over a unix socket, waits for the answer, and
 * then either becomes the real qmail-queue (same pid, same uid, descriptors replaced by checked ones) or exits with a
 * code. It reads no byte of the message, has no configuration and allocates nothing: it is executed once per message.
 * The protocol is ingress/PROTOCOL.md; the exit codes are those of qmail-queue(8).
 *
 * Environment: QSCAN_INGRESS_SOCKET, QSCAN_QMAIL_QUEUE, ERROR_FD. It takes no arguments.
 * Compile time: -DQSCAN_INGRESS_UID=N, the uid that may answer apart from root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef QSCAN_INGRESS_UID
#define QSCAN_INGRESS_UID 0
#endif
#ifndef QSCAN_DEFAULT_SOCKET
#define QSCAN_DEFAULT_SOCKET "/run/qscan/ingress.sock"
#endif
#ifndef QSCAN_DEFAULT_QMAIL_QUEUE
#define QSCAN_DEFAULT_QMAIL_QUEUE "/var/qmail/bin/qmail-queue"
#endif
#ifndef QSCAN_SILENCE_S /* before the envelope's end ingressd speaks every 5 s; this long without a word is dead */
#define QSCAN_SILENCE_S 30
#endif
#ifndef QSCAN_MAX_WAIT_S /* the longest wait after the envelope's end that ingressd may ask for */
#define QSCAN_MAX_WAIT_S 3600
#endif
#define TOTAL_S 86400 /* qmail-queue's own limit for everything */
#define ERROR_WRITE_WAIT_MS 5000
#define MAX_VALUE_BYTES 4096 /* environment values are hostile remote data (reverse DNS, ident); the rest is cut */
#define MAX_TEXT_BYTES 255   /* what the callers keep of the error text */
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum {
    EXIT_READ = 54,        /* Z: as qmail-queue for a descriptor that cannot be read */
    EXIT_TEMPORARY = 71,   /* Z: every failure of ours */
    EXIT_TIMEOUT = 52,     /* Z: as qmail-queue after TOTAL_S */
    EXIT_UNREACHABLE = 74, /* Z: ingressd cannot be reached */
    EXIT_CUSTOM = 82,      /* the text on the error descriptor counts */
    EXIT_EXEC = 120,       /* Z: the real qmail-queue cannot be executed */
    PERMANENT_FIRST = 11,
    PERMANENT_LAST = 40
};

extern char **environ;

/* Variables that ingressd is told. Trace context is not among them: it must never come from outside. */
static const char *const told[] = {
    "TCPREMOTEIP", "TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALHOST",   "TCPLOCALIP",   "TCPLOCALPORT",
    "PROTO",       "RELAYCLIENT",   "QS_SPAMASSASSIN", "SMTPAUTHUSER",
};
enum { TOLD = sizeof told / sizeof *told };

static int error_fd = -1;
static char received[1024];
union fd_pair {
    struct cmsghdr header;
    char space[CMSG_SPACE(2 * sizeof(int))];
};

/* Leave with `code`, or with 82 and `text` where somebody listens for it. Text that is no text is not sent: an 82
 * without at least three bytes and a class letter would be rendered as "temporary problem" or worse. */
static void finish(int code, const char *text, size_t length)
{
    char line[MAX_TEXT_BYTES];
    struct pollfd writable = {error_fd, POLLOUT, 0};
    int permanent = code >= PERMANENT_FIRST && code <= PERMANENT_LAST;

    if (error_fd < 0 || code == 0 || length < 3 || text[0] != (permanent ? 'D' : 'Z')) _exit(code);
    if (length > MAX_TEXT_BYTES) length = MAX_TEXT_BYTES;
    for (size_t i = 0; i < length; i++) line[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    signal(SIGPIPE, SIG_IGN); /* nothing is executed after this, so there is nothing to restore */
    if (poll(&writable, 1, ERROR_WRITE_WAIT_MS) != 1 || !(writable.revents & POLLOUT)) _exit(code);
    /* below PIPE_BUF: all or nothing */
    if (write(error_fd, line, length) != (ssize_t) length) _exit(code);
    close(error_fd);
    _exit(EXIT_CUSTOM);
}

static void unreachable(void)
{
    static const char text[] = "Zmail scanner cannot be reached, please try again later (#4.4.2)";
    finish(EXIT_UNREACHABLE, text, sizeof text - 1);
}

static void failed(void)
{
    static const char text[] = "Zmail scanner gave no answer, please try again later (#4.3.0)";
    finish(EXIT_TEMPORARY, text, sizeof text - 1);
}

static int is_error_pipe(int fd)
{
    struct stat status;
    int flags;

    if (fstat(fd, &status) || !S_ISFIFO(status.st_mode)) return 0;
    flags = fcntl(fd, F_GETFL);
    return flags != -1 && (flags & O_ACCMODE) == O_WRONLY;
}

/* Decimal digits only, up to `end`, at most `limit`; -1 for anything else. */
static long number(const char *digits, const char *end, long limit)
{
    long value = 0;

    if (digits == end) return -1;
    for (; digits < end; digits++) {
        if (*digits < '0' || *digits > '9') return -1;
        value = value * 10 + (*digits - '0');
        if (value > limit) return -1;
    }
    return value;
}

/* Must run before anything is opened, else a descriptor of our own could look like the caller's. */
static void find_error_fd(void)
{
    const char *named = getenv("ERROR_FD");
    long fd = named ? number(named, named + strlen(named), 1 << 20) : -1;

    if (fd >= 2 && is_error_pipe((int) fd)) error_fd = (int) fd;
    else if (is_error_pipe(6)) error_fd = 6;
    else if (is_error_pipe(4)) error_fd = 4;
}

/* The caller's other descriptors, the error pipe among them, must not live on in the real qmail-queue. */
static void close_others_on_exec(void)
{
    long last = sysconf(_SC_OPEN_MAX);

    if (!syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC)) return;
    if (last < 0 || last > 65536) last = 65536; /* kernels before 5.11 */
    for (int fd = 3; fd < last; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int connect_to_ingressd(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {QSCAN_SILENCE_S, 0};
    struct ucred peer;
    socklen_t size = sizeof peer;
    const char *path = getenv("QSCAN_INGRESS_SOCKET");
    int fd;

    if (!path) path = QSCAN_DEFAULT_SOCKET;
    if (!*path || strlen(path) >= sizeof address.sun_path) unreachable();
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) unreachable();
    /* bounds connect() too, which waits while the backlog of a stopped ingressd is full */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *) &address, sizeof address)) unreachable();
    /* whoever answers decides what is delivered: a stranger that took the path's place must not */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size)) unreachable();
    if (peer.uid != 0 && peer.uid != (uid_t) QSCAN_INGRESS_UID) unreachable();
    return fd;
}

/* One packet: magic, then NAME=VALUE entries straight from the environment, each with its NUL; and descriptors 0, 1. */
static void introduce(int server)
{
    static char magic[] = "qscan1"; /* sent with its NUL */
    static char nul[1];
    struct iovec parts[1 + 2 * TOLD];
    union fd_pair control = {0};
    struct msghdr packet = {.msg_iov = parts, .msg_control = &control, .msg_controllen = sizeof control};
    const int both[2] = {0, 1};
    size_t count = 1;
    ssize_t sent;

    parts[0] = (struct iovec){magic, sizeof magic};
    for (size_t i = 0; i < TOLD; i++) {
        char *value = getenv(told[i]);
        size_t name = strlen(told[i]) + 1; /* with the '=', which stands before the value in the same string */
        size_t length;
        if (!value) continue;
        length = strnlen(value, MAX_VALUE_BYTES);
        parts[count++] = (struct iovec){value - name, name + length};
        parts[count++] = (struct iovec){nul, 1};
    }
    packet.msg_iovlen = count;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof both);
    memcpy(CMSG_DATA(&control.header), both, sizeof both);
    do sent = sendmsg(server, &packet, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    /* a busy ingressd has answered and hung up already: its answer is still to be read */
    if (sent < 0 && errno != EPIPE && errno != ECONNRESET) unreachable();
}

/* Milliseconds of the monotonic clock. */
static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 1 when something can be read, 0 when `until_ms` has come. What is there is seen even when it is late. */
static int readable(int server, long long until_ms)
{
    for (;;) {
        struct pollfd one = {server, POLLIN, 0};
        long long left_ms = until_ms - now_ms();
        int ready = poll(&one, 1, left_ms < 0 ? 0 : (int) left_ms);
        if (ready >= 0) return ready;
        if (errno != EINTR && errno != EAGAIN) failed();
    }
}

/* Become the real qmail-queue on the two descriptors of ingressd. It cannot notice a truncated message, therefore a
 * descriptor that is no plain file at its beginning, or that could still be written through, is refused. */
static void deliver(const int *fds)
{
    static char *arguments[2];
    char *path = getenv("QSCAN_QMAIL_QUEUE");

    for (int i = 0; i < 2; i++) {
        struct stat status;
        int flags = fcntl(fds[i], F_GETFL);
        if (flags == -1 || (flags & O_ACCMODE) != O_RDONLY) failed();
        if (fstat(fds[i], &status) || !S_ISREG(status.st_mode)) failed();
        if (lseek(fds[i], 0, SEEK_CUR) != 0) failed();
    }
    /* 0 and 1 were open from the start, so neither of the two can be one of them; dup2 clears close-on-exec */
    if (dup2(fds[0], 0) != 0 || dup2(fds[1], 1) != 1) failed();
    arguments[0] = path ? path : (char *) QSCAN_DEFAULT_QMAIL_QUEUE;
    execve(arguments[0], arguments, environ);
    _exit(EXIT_EXEC);
}

/* Waits for what ingressd decides; never returns. */
static void follow(int server)
{
    long long last_ms = now_ms() + TOTAL_S * 1000LL;
    long long until_ms = 0; /* after the envelope's end: when we give up */

    for (;;) {
        union fd_pair control = {0};
        struct iovec part = {received, sizeof received};
        struct msghdr packet = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        struct cmsghdr *header;
        ssize_t length;
        long seconds;
        char *end;

        if (!until_ms && now_ms() >= last_ms) _exit(EXIT_TIMEOUT);
        if (!readable(server, until_ms ? until_ms : now_ms() + QSCAN_SILENCE_S * 1000LL)) {
            if (until_ms) failed();
            unreachable();
        }
        length = recvmsg(server, &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        /* a reset is told once, before what was sent ahead of it */
        if (length < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNRESET)) continue;
        if (length <= 0) { /* it hung up without an answer */
            if (until_ms) failed();
            unreachable();
        }
        if (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) failed();
        end = received + length;
        switch (received[0]) {
        case '.': /* alive, the envelope has not ended yet */
            if (length != 1) failed();
            break;
        case 'E': /* the envelope has ended; the answer comes within that many seconds */
            seconds = number(received + 1, end, QSCAN_MAX_WAIT_S);
            if (seconds <= 0 || until_ms) failed();
            until_ms = now_ms() + seconds * 1000LL;
            break;
        case 'D': /* deliver */
            header = CMSG_FIRSTHDR(&packet);
            if (!until_ms || length != 1 || !header || header->cmsg_level != SOL_SOCKET ||
                header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
                failed();
            int fds[2];
            memcpy(fds, CMSG_DATA(header), sizeof fds);
            deliver(fds);
            break;
        case 'X': /* exit with a code, and a text where it can be told */
            end = memchr(received, 0, (size_t) length);
            seconds = end ? number(received + 1, end, 255) : -1;
            /* nothing was queued: success needs the whole envelope to have been read */
            if (seconds < 0 || (seconds == 0 && !until_ms)) failed();
            finish((int) seconds, end + 1, (size_t) (received + length - (end + 1)));
            break;
        default:
            failed();
        }
    }
}

int main(void)
{
    int server;

    alarm(0); /* a caller's alarm would outlive both execs; qmail-queue sets its own */
    find_error_fd();
    if (fcntl(0, F_GETFD) == -1 || fcntl(1, F_GETFD) == -1) _exit(EXIT_READ);
    close_others_on_exec();
    server = connect_to_ingressd();
    introduce(server);
    follow(server);
    return EXIT_TEMPORARY;
}
