#ifndef CAIRN_CXENLIGHT_H
#define CAIRN_CXENLIGHT_H
#include <stdint.h>

// Xen's toolstack library (libxl) and its store, loaded when asked for, so that one program runs on hosts without Xen. Declarations are our own:
// only what is used, as it is in the version that is loaded. Where Xen's headers are installed, building compares the two.
//
// libxl's SIGCHLD: the library forks a helper for a save. It is told to reap its own children only; the process's others stay for whoever started
// them.

/// The version of libxenlight that is known here, as in its file's name.
const char *cairn_xen_known_version(void);

/// Loads both libraries, once. NULL: they are there. Else why not, in words that stay.
const char *cairn_xen_load(void);

/// Why libxl itself cannot be used although the store can; NULL when it can. To be asked after cairn_xen_load.
const char *cairn_xen_libxl_trouble(void);

/// A conversation with libxl; one thread at a time. NULL when libxl does not answer.
typedef struct cairn_xen cairn_xen;
cairn_xen *cairn_xen_open(void);
void cairn_xen_close(cairn_xen *xen);

/// What libxl complained of since the conversation began or was last asked, oldest first; never NULL.
const char *cairn_xen_complaints(cairn_xen *xen);

/// 0 and the number of a domain; anything else when there is none of that name.
int cairn_xen_domain_of(cairn_xen *xen, const char *name, uint32_t *domain);

/// What the hypervisor is and offers, as libxl's JSON; NULL when it does not say. To be freed.
char *cairn_xen_physinfo(cairn_xen *xen);

typedef struct {
    int shutdown;         // it has ended or was suspended, and is still there
    int reason;           // of that; Source: libxl_shutdown_reason
    int dying;
    uint64_t cpu_time_ns;
} cairn_xen_info;
enum { CAIRN_XEN_POWEROFF = 0, CAIRN_XEN_REBOOT = 1, CAIRN_XEN_SUSPEND = 2, CAIRN_XEN_CRASH = 3 };

/// 0; 1 when there is no such domain; -1 when it cannot be told.
int cairn_xen_info_of(cairn_xen *xen, uint32_t domain, cairn_xen_info *info);

/// What a suspend did, by the monotonic clock in nanoseconds; 0: it did not come to that.
typedef struct {
    uint64_t asked_at;    // the guest was asked to stand still
    uint64_t stood_at;    // it did
    int code;             // libxl's, 0 is success
} cairn_xen_suspension;

/// Writes a domain's memory and state to a file descriptor, from where it stands, and leaves the domain suspended. With `live` it runs until the
/// last of its memory.
cairn_xen_suspension cairn_xen_suspend(cairn_xen *xen, uint32_t domain, int descriptor, int live);

/// Lets a suspended domain go on where it is; libxl's code. A domain that is not suspended is refused and not changed.
int cairn_xen_resume(cairn_xen *xen, uint32_t domain);

uint64_t cairn_xen_now(void);

/// A value of the store; NULL when it is not there. To be freed.
char *cairn_xenstore_read(const char *path);
/// The names in a directory of the store, a line each; NULL when it is not there. To be freed.
char *cairn_xenstore_list(const char *path);

#endif
