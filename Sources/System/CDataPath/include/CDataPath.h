#pragma once
#include <stddef.h>
#include <stdint.h>

/// Bytes in blocks of `block` bytes that are not all zero.
size_t cairn_nonzero_bytes(const void *bytes, size_t length, size_t block);

/// CRC-32C (Castagnoli) of `length` bytes, going on from `crc` (0 to begin with).
uint32_t cairn_crc32c(uint32_t crc, const void *bytes, size_t length);

/// CRC-32C of each of `count` chunks of `chunk` bytes that follow one another, to `checks`.
void cairn_crc32c_chunks(const void *bytes, size_t chunk, size_t count, uint32_t *checks);

/// Moves what is left without runs of at least `least` zero blocks to the front of `bytes`, in place. Writes the lengths of the runs in blocks to
/// `runs`, of which at most `capacity` are used: left out, kept, left out, kept … The last block may be shorter. Returns the bytes that are kept;
/// with nothing left out, `*count` is 0 and nothing was moved.
size_t cairn_pack_nonzero(void *bytes, size_t length, size_t block, size_t least, uint32_t *runs, size_t capacity, size_t *count);

/// The reverse, in place: `bytes` has room for `length`, and what was kept at its front. Returns 0, or -1 when the runs do not come to that.
int cairn_unpack_nonzero(void *bytes, size_t kept, size_t length, size_t block, const uint32_t *runs, size_t count);
