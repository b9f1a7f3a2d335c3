#pragma once

/// Makes this process the one that inherits orphaned descendants, and starts a thread that reaps those among them that are
/// ended QEMU processes. Where PID 1 is slow to reap, every stop of a QEMU would take seconds otherwise.
///
/// Only zombies whose name begins with "qemu-system" and whose session is not ours are reaped: a QEMU that detached itself; and
/// those in another's process group, which a wrapper started that did not outlive them. Children that somebody here waits for share our session
/// and lead a group of their own, and are left alone.
/// Returns 0, or errno.
int cairn_reap_detached_qemu(void);

/// Whether this process may write-protect memory by userfaultfd, which QEMU's background snapshots stand on.
/// Returns 0, or errno. Source: userfaultfd(2), ioctl_userfaultfd(2).
int cairn_may_write_protect(void);
