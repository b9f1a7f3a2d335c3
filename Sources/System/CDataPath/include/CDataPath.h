#pragma once
#include <stddef.h>
#include <stdint.h>

/// Bytes in blocks of `block` bytes that are not all zero.
size_t cairn_nonzero_bytes(const void *bytes, size_t length, size_t block);

/// CRC-32C (Castagnoli) of `length` bytes, going on from `crc` (0 to begin with).
uint32_t cairn_crc32c(uint32_t crc, const void *bytes, size_t length);
