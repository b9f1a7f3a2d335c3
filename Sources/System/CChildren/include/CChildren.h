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

/// Receives a stream in a process of its own, which outlives this one: whoever sends it must not see it break off.
///
/// The process accepts one connection at `listener` (for so many milliseconds at most), and writes what comes to `file` until the sender ends it. Where
/// the file takes no more, the rest is read all the same, and thrown away. It has no other descriptor of ours, and heeds no SIGTERM, SIGINT or SIGHUP.
/// Returns its process number, to be waited for, or minus errno. Its exit status: 0, all is in the file; CAIRN_NO_STREAM, nobody connected, or what came
/// broke off; else the errno of the write that failed.
int cairn_receive_apart(int listener, int file, int patience);
#define CAIRN_NO_STREAM 255
