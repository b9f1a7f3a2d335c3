#include "CXenlight.h"
#include <dlfcn.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Source: Xen 4.17, tools/include: xentoollog.h, libxl.h, libxl_event.h, libxl_types.idl, xenstore.h.
#define KNOWN "4.17"

typedef struct cairn_logger cairn_logger;
struct cairn_logger {
    void (*vmessage)(cairn_logger *, int level, int errnoval, const char *context, const char *format, va_list);
    void (*progress)(cairn_logger *, const char *, const char *, int, unsigned long, unsigned long);
    void (*destroy)(cairn_logger *);
    // Ours from here on.
    pthread_mutex_t lock;
    char complaints[2048];
    char told[2048];
    uint64_t asked_at, stood_at;
};

struct cairn_dominfo {
    uint8_t uuid[16];
    uint32_t domid;
    uint32_t ssidref;
    char *ssid_label;
    bool running, blocked, paused, shutdown, dying, never_stop;
    int shutdown_reason;
    uint64_t outstanding_memkb, current_memkb, shared_memkb, paged_memkb, max_memkb;
    uint64_t cpu_time;
    uint32_t vcpu_max_id, vcpu_online, cpupool;
    uint8_t gpaddr_bits;
    int domain_type;
};

struct cairn_hooks {
    int chldowner;
    pid_t (*fork_replacement)(void *);
    int (*reaped_callback)(pid_t, int, void *);
};
#define PHYSINFO_SIZE 1024 // more than it takes; what is in it is read as JSON
#define OWNER_SELECTIVE_REAP 3
#define SUSPEND_LIVE 2
#define LEVEL_WARN 7
#define LEVEL_ERROR 8
#define ERROR_DOMAIN_NOT_FOUND (-21)

// A test compiles this against Xen's own headers, where they are installed.
#ifdef CAIRN_COMPARE_WITH_XEN
#include <libxl.h>
#include <libxl_event.h>
#include <xentoollog.h>
#define SAME_PLACE(field) _Static_assert(offsetof(struct cairn_dominfo, field) == offsetof(libxl_dominfo, field), #field)
#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #theirs)
SAME_PLACE(uuid);
SAME_PLACE(domid);
SAME_PLACE(running);
SAME_PLACE(shutdown);
SAME_PLACE(dying);
SAME_PLACE(shutdown_reason);
SAME_PLACE(cpu_time);
SAME_PLACE(domain_type);
SAME(sizeof(struct cairn_dominfo), sizeof(libxl_dominfo));
SAME(sizeof(struct cairn_hooks), sizeof(libxl_childproc_hooks));
SAME(offsetof(cairn_logger, lock), sizeof(xentoollog_logger));
_Static_assert(sizeof(libxl_physinfo) <= PHYSINFO_SIZE, "libxl_physinfo");
SAME(OWNER_SELECTIVE_REAP, libxl_sigchld_owner_libxl_always_selective_reap);
SAME(SUSPEND_LIVE, LIBXL_SUSPEND_LIVE);
SAME(0, LIBXL_VERSION);
SAME(LEVEL_WARN, XTL_WARN);
SAME(LEVEL_ERROR, XTL_ERROR);
SAME(ERROR_DOMAIN_NOT_FOUND, ERROR_DOMAIN_NOTFOUND);
SAME(CAIRN_XEN_POWEROFF, LIBXL_SHUTDOWN_REASON_POWEROFF);
SAME(CAIRN_XEN_REBOOT, LIBXL_SHUTDOWN_REASON_REBOOT);
SAME(CAIRN_XEN_SUSPEND, LIBXL_SHUTDOWN_REASON_SUSPEND);
SAME(CAIRN_XEN_CRASH, LIBXL_SHUTDOWN_REASON_CRASH);
#endif

static struct {
    int (*ctx_alloc)(void **, int, unsigned, cairn_logger *);
    int (*ctx_free)(void *);
    void (*childproc_setmode)(void *, const struct cairn_hooks *, void *);
    int (*name_to_domid)(void *, const char *, uint32_t *);
    int (*domain_info)(void *, struct cairn_dominfo *, uint32_t);
    void (*dominfo_init)(struct cairn_dominfo *);
    void (*dominfo_dispose)(struct cairn_dominfo *);
    void (*physinfo_init)(void *);
    void (*physinfo_dispose)(void *);
    int (*get_physinfo)(void *, void *);
    char *(*physinfo_to_json)(void *, void *);
    int (*domain_suspend)(void *, uint32_t, int, int, const void *);
    int (*domain_resume)(void *, uint32_t, int, const void *);
    void *(*xs_open)(unsigned long);
    void (*xs_close)(void *);
    void *(*xs_read)(void *, uint32_t, const char *, unsigned *);
    char **(*xs_directory)(void *, uint32_t, const char *, unsigned *);
} xen;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char store_trouble[256], libxl_trouble[512];

const char *cairn_xen_known_version(void) { return KNOWN; }

static int resolve(void *library, const char *name, void *place) {
    void *found = dlsym(library, name);
    memcpy(place, &found, sizeof found);
    return found != NULL;
}

static void load_store(void) {
    void *library = dlopen("libxenstore.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(store_trouble, sizeof store_trouble, "libxenstore.so.4 cannot be loaded (Debian: libxenstore4)");
        return;
    }
    if (!(resolve(library, "xs_open", &xen.xs_open) && resolve(library, "xs_close", &xen.xs_close) && resolve(library, "xs_read", &xen.xs_read)
          && resolve(library, "xs_directory", &xen.xs_directory)))
        snprintf(store_trouble, sizeof store_trouble, "libxenstore.so.4 lacks what is needed of it");
}

static void load_libxl(void) {
    void *library = dlopen("libxenlight.so." KNOWN, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *places[] = {"/usr/lib/*/libxenlight.so.*", "/usr/lib64/libxenlight.so.*", "/usr/lib/libxenlight.so.*", "/usr/local/lib/libxenlight.so.*"};
        char others[256] = "";
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            glob_t found = {0};
            if (glob(places[i], 0, NULL, &found) == 0 && found.gl_pathc) snprintf(others, sizeof others, "%s", found.gl_pathv[0]);
            globfree(&found);
        }
        if (others[0])
            snprintf(libxl_trouble, sizeof libxl_trouble, "%s is of a version of Xen that is not known here; libxenlight.so." KNOWN " is (Debian 12's)", others);
        else snprintf(libxl_trouble, sizeof libxl_trouble, "libxenlight.so." KNOWN " cannot be loaded (Debian: libxenmisc" KNOWN ")");
        return;
    }
    if (!(resolve(library, "libxl_ctx_alloc", &xen.ctx_alloc) && resolve(library, "libxl_ctx_free", &xen.ctx_free)
          && resolve(library, "libxl_childproc_setmode", &xen.childproc_setmode) && resolve(library, "libxl_name_to_domid", &xen.name_to_domid)
          && resolve(library, "libxl_domain_info", &xen.domain_info) && resolve(library, "libxl_dominfo_init", &xen.dominfo_init)
          && resolve(library, "libxl_dominfo_dispose", &xen.dominfo_dispose) && resolve(library, "libxl_domain_suspend", &xen.domain_suspend)
          && resolve(library, "libxl_domain_resume", &xen.domain_resume) && resolve(library, "libxl_physinfo_init", &xen.physinfo_init)
          && resolve(library, "libxl_physinfo_dispose", &xen.physinfo_dispose) && resolve(library, "libxl_get_physinfo", &xen.get_physinfo)
          && resolve(library, "libxl_physinfo_to_json", &xen.physinfo_to_json)))
        snprintf(libxl_trouble, sizeof libxl_trouble, "libxenlight.so." KNOWN " lacks what is needed of it");
}

static void load(void) {
    load_store();
    load_libxl();
}

const char *cairn_xen_load(void) {
    pthread_once(&once, load);
    return store_trouble[0] ? store_trouble : NULL;
}

const char *cairn_xen_libxl_trouble(void) {
    pthread_once(&once, load);
    return libxl_trouble[0] ? libxl_trouble : NULL;
}

// What libxl says. Its sentences of a suspend are the only sign of when the guest stood still.
// Source: Xen 4.17, tools/libs/light/libxl_dom_suspend.c.

uint64_t cairn_xen_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void message(cairn_logger *log, int level, int errnoval, const char *context, const char *format, va_list arguments) {
    char line[512];
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = 0;
    pthread_mutex_lock(&log->lock);
    if (strstr(line, "suspend request via")) log->asked_at = cairn_xen_now();
    if (strstr(line, "guest has suspended")) log->stood_at = cairn_xen_now();
    if (level >= LEVEL_WARN) {
        size_t used = strlen(log->complaints);
        snprintf(log->complaints + used, sizeof log->complaints - used, "%s%s%s%s%s%s", used ? "; " : "", context ? context : "", context ? ": " : "",
                 line, errnoval > 0 ? ": " : "", errnoval > 0 ? strerror(errnoval) : "");
    }
    pthread_mutex_unlock(&log->lock);
}

static void nothing(cairn_logger *log) { (void)log; }

struct cairn_xen {
    cairn_logger log;
    void *context;
};

static const struct cairn_hooks hooks = {.chldowner = OWNER_SELECTIVE_REAP};

cairn_xen *cairn_xen_open(void) {
    if (cairn_xen_libxl_trouble()) return NULL;
    cairn_xen *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->log.vmessage = message;
    made->log.destroy = nothing;
    pthread_mutex_init(&made->log.lock, NULL);
    if (xen.ctx_alloc(&made->context, 0, 0, &made->log) != 0) {
        pthread_mutex_destroy(&made->log.lock);
        free(made);
        return NULL;
    }
    xen.childproc_setmode(made->context, &hooks, NULL);
    return made;
}

void cairn_xen_close(cairn_xen *gone) {
    if (!gone) return;
    xen.ctx_free(gone->context);
    pthread_mutex_destroy(&gone->log.lock);
    free(gone);
}

const char *cairn_xen_complaints(cairn_xen *asked) {
    pthread_mutex_lock(&asked->log.lock);
    memcpy(asked->log.told, asked->log.complaints, sizeof asked->log.told);
    asked->log.complaints[0] = 0;
    pthread_mutex_unlock(&asked->log.lock);
    return asked->log.told;
}

int cairn_xen_domain_of(cairn_xen *asked, const char *name, uint32_t *domain) { return xen.name_to_domid(asked->context, name, domain); }

int cairn_xen_info_of(cairn_xen *asked, uint32_t domain, cairn_xen_info *info) {
    struct cairn_dominfo found;
    xen.dominfo_init(&found);
    int code = xen.domain_info(asked->context, &found, domain);
    if (code == ERROR_DOMAIN_NOT_FOUND) return 1;
    if (code != 0) return -1;
    *info = (cairn_xen_info){.shutdown = found.shutdown, .reason = found.shutdown_reason, .dying = found.dying, .cpu_time_ns = found.cpu_time};
    xen.dominfo_dispose(&found);
    return 0;
}

char *cairn_xen_physinfo(cairn_xen *asked) {
    union {
        uint64_t aligned;
        char bytes[PHYSINFO_SIZE];
    } info;
    memset(&info, 0, sizeof info);
    xen.physinfo_init(&info);
    char *text = xen.get_physinfo(asked->context, &info) == 0 ? xen.physinfo_to_json(asked->context, &info) : NULL;
    xen.physinfo_dispose(&info);
    return text;
}

cairn_xen_suspension cairn_xen_suspend(cairn_xen *asked, uint32_t domain, int descriptor, int live) {
    asked->log.asked_at = asked->log.stood_at = 0;
    // The end of libxl's helper must reach this thread or another: here it can.
    sigset_t child, before;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    pthread_sigmask(SIG_UNBLOCK, &child, &before);
    int code = xen.domain_suspend(asked->context, domain, descriptor, live ? SUSPEND_LIVE : 0, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return (cairn_xen_suspension){.asked_at = asked->log.asked_at, .stood_at = asked->log.stood_at, .code = code};
}

int cairn_xen_resume(cairn_xen *asked, uint32_t domain) { return xen.domain_resume(asked->context, domain, 1, NULL); }

char *cairn_xenstore_read(const char *path) {
    if (cairn_xen_load()) return NULL;
    void *store = xen.xs_open(0);
    if (!store) return NULL;
    unsigned length = 0;
    char *value = xen.xs_read(store, 0, path, &length);
    xen.xs_close(store);
    return value;
}

char *cairn_xenstore_list(const char *path) {
    if (cairn_xen_load()) return NULL;
    void *store = xen.xs_open(0);
    if (!store) return NULL;
    unsigned count = 0;
    char **names = xen.xs_directory(store, 0, path, &count);
    xen.xs_close(store);
    if (!names) return NULL;
    size_t size = 1;
    for (unsigned i = 0; i < count; i++) size += strlen(names[i]) + 1;
    char *lines = malloc(size), *end = lines;
    if (lines) {
        for (unsigned i = 0; i < count; i++) end += sprintf(end, "%s\n", names[i]);
        *end = 0;
    }
    free(names);
    return lines;
}
