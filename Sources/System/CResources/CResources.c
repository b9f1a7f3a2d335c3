#define _GNU_SOURCE
#include "CResources.h"

#if defined(__linux__)
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// Source: ioprio_set(2); glibc has no wrapper and no names for these.
enum { who_process = 1, class_best_effort = 2, class_shift = 13, lowest_level = 7 };

int cairn_lower_thread_priority(int nice) {
    // 0 is the calling thread, not the process, for both calls on Linux: setpriority(2), "C library/kernel differences".
    int failed = 0;
    if (setpriority(PRIO_PROCESS, 0, nice) != 0) failed = errno;
    if (syscall(SYS_ioprio_set, who_process, 0, class_best_effort << class_shift | lowest_level) != 0 && failed == 0) failed = errno;
    return failed;
}

int cairn_is_on_nfs(const char *path) {
    struct statfs status;
    // NFS_SUPER_MAGIC, statfs(2).
    return statfs(path, &status) == 0 && status.f_type == 0x6969;
}
#else
int cairn_lower_thread_priority(int nice) {
    (void)nice;
    return 0;
}

int cairn_is_on_nfs(const char *path) {
    (void)path;
    return 0;
}
#endif

#if defined(__GLIBC__)
#include <malloc.h>
// Source: mallopt(3).
void cairn_give_memory_back(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_ARENA_MAX, 2);
}
#else
void cairn_give_memory_back(void) {}
#endif
