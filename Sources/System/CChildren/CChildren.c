#define _GNU_SOURCE
#include "CChildren.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t read_file(const char *path, char *buffer, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, buffer, size - 1);
    close(fd);
    if (n < 0) n = 0;
    buffer[n] = 0;
    return (size_t)n;
}

// Zombies of this process's own session that were seen before, and how often. Whoever started them waits for them as a rule, as libvirt
// does for the QEMU that it asks for its capabilities: only one that nobody has waited for in half a second is an orphan.
static struct { pid_t pid; int seen; } patient[64];
static const int patience = 25;

static int has_nobody(pid_t pid) {
    int free = -1;
    for (int i = 0; i < 64; i++) {
        if (patient[i].pid == pid) {
            if (++patient[i].seen < patience) return 0;
            patient[i].pid = 0;
            return 1;
        }
        // One that was waited for is not seen again, and gives up its place.
        char path[64];
        snprintf(path, sizeof path, "/proc/%d", (int)patient[i].pid);
        if (patient[i].pid == 0 || access(path, F_OK) != 0) free = i;
    }
    if (free >= 0) {
        patient[free].pid = pid;
        patient[free].seen = 1;
    }
    return 0;
}

static int is_ours_to_reap(pid_t pid) {
    char path[64], stat[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_file(path, stat, sizeof stat)) return 0;
    const char *open = strchr(stat, '('), *close = strrchr(stat, ')');
    if (!open || !close || strncmp(open + 1, "qemu-system", 11) != 0) return 0;
    char state;
    int parent, group, session;
    // Source: proc(5), fields 3 to 6.
    if (sscanf(close + 1, " %c %d %d %d", &state, &parent, &group, &session) != 4) return 0;
    if (state != 'Z') return 0;
    // One that made a session of its own is a guest, or was a probe's.
    if (session != (int)getsid(0)) return 1;
    return group != (int)pid && has_nobody(pid);
}

static void *reap(void *unused) {
    (void)unused;
    char children[16384], path[300];
    for (;;) {
        usleep(20000);
        DIR *tasks = opendir("/proc/self/task");
        if (!tasks) continue;
        for (struct dirent *entry; (entry = readdir(tasks));) {
            if (!isdigit((unsigned char)entry->d_name[0])) continue;
            snprintf(path, sizeof path, "/proc/self/task/%s/children", entry->d_name);
            if (!read_file(path, children, sizeof children)) continue;
            for (char *rest = children, *end; ; rest = end) {
                long pid = strtol(rest, &end, 10);
                if (end == rest) break;
                if (is_ours_to_reap((pid_t)pid)) waitpid((pid_t)pid, NULL, WNOHANG);
            }
        }
        closedir(tasks);
    }
    return NULL;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int outcome;

static void start(void) {
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        outcome = errno;
        return;
    }
    pthread_t thread;
    outcome = pthread_create(&thread, NULL, reap, NULL);
    if (outcome == 0) pthread_detach(thread);
}

int cairn_reap_detached_qemu(void) {
    pthread_once(&once, start);
    return outcome;
}

int cairn_may_write_protect(void) {
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return errno;
    struct uffdio_api api = {.api = UFFD_API};
    int code = ioctl(fd, UFFDIO_API, &api) == 0 ? 0 : errno;
    close(fd);
    if (code == 0 && !(api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP)) code = ENOSYS;
    return code;
}

static char stream_buffer[1 << 20];

// In a copy of a process of many threads: nothing here may take a lock (signal-safety(7)).
static void receive_apart(int listener, int file, int patience) {
    setsid();
    prctl(PR_SET_NAME, "cairn-stream");
    int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    // Above all that is overwritten, then in the places of their own; nobody waits for our end to see his pipe closed.
    listener = fcntl(listener, F_DUPFD, 16);
    file = fcntl(file, F_DUPFD, 16);
    int null = open("/dev/null", O_RDWR);
    if (listener < 0 || file < 0 || null < 0) _exit(CAIRN_NO_STREAM);
    for (int i = 0; i < 3; i++) dup2(null, i);
    dup2(listener, 3);
    dup2(file, 4);
    syscall(SYS_close_range, 5u, ~0u, 0u);
    struct pollfd waited = {.fd = 3, .events = POLLIN};
    int stream = poll(&waited, 1, patience) > 0 ? accept(3, NULL, NULL) : -1;
    close(3);
    if (stream < 0) _exit(CAIRN_NO_STREAM);
    int failure = 0;
    for (;;) {
        ssize_t count = read(stream, stream_buffer, sizeof stream_buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) _exit(CAIRN_NO_STREAM);
        if (count == 0) _exit(failure);
        for (ssize_t offset = 0; offset < count && !failure;) {
            ssize_t written = write(4, stream_buffer + offset, (size_t)(count - offset));
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) failure = errno;
            else offset += written;
        }
    }
}

int cairn_receive_apart(int listener, int file, int patience) {
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) receive_apart(listener, file, patience);
    return (int)child;
}
