#pragma once

/// Lowers the calling thread's claim on processors and disks: `nice` for the one, the best-effort class's last level for the other.
/// Returns 0, or the errno of what did not work. The thread cannot raise it again.
int cairn_lower_thread_priority(int nice);

/// Keeps the process small: pieces of a megabyte and more go back to the system as soon as they are free, instead of raising the bound from which they
/// do, and threads share two heaps, as each of many short-lived ones would leave one of its own.
void cairn_give_memory_back(void);

/// Whether a path lies on NFS; no when that cannot be told.
int cairn_is_on_nfs(const char *path);
