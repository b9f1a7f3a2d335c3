#include "CDataPath.h"
#include <string.h>

static int is_zero(const uint8_t *p, size_t n) {
    // All bytes are equal to their neighbour, and the first is zero: memcmp does that at memory speed.
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

size_t cairn_nonzero_bytes(const void *bytes, size_t length, size_t block) {
    size_t total = 0;
    for (size_t offset = 0; offset < length; offset += block) {
        size_t n = length - offset < block ? length - offset : block;
        if (!is_zero((const uint8_t *)bytes + offset, n)) total += n;
    }
    return total;
}

// Source: RFC 3720, appendix B.4 (polynomial 0x1EDC6F41, reflected 0x82F63B78).
static uint32_t table[8][256];

__attribute__((constructor)) static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 255];
}

// Eight bytes a step ("slicing by 8", Kounavis & Berry, 2005).
static uint32_t crc32c_software(uint32_t c, const uint8_t *p, size_t n) {
    while (n >= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        v ^= c;
        c = table[7][v & 255] ^ table[6][(v >> 8) & 255] ^ table[5][(v >> 16) & 255] ^ table[4][(v >> 24) & 255]
            ^ table[3][(v >> 32) & 255] ^ table[2][(v >> 40) & 255] ^ table[1][(v >> 48) & 255] ^ table[0][v >> 56];
        p += 8;
        n -= 8;
    }
    while (n--) c = table[0][(c ^ *p++) & 255] ^ (c >> 8);
    return c;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
__attribute__((target("sse4.2"))) static uint32_t crc32c_hardware(uint32_t c, const uint8_t *p, size_t n) {
    uint64_t wide = c;
    while (n >= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        wide = _mm_crc32_u64(wide, v);
        p += 8;
        n -= 8;
    }
    c = (uint32_t)wide;
    while (n--) c = _mm_crc32_u8(c, *p++);
    return c;
}

// The instruction takes three cycles and one can begin in each, so that three chunks at once take as long as one. `n` is a multiple of 8.
__attribute__((target("sse4.2"))) static void crc32c_hardware_three(const uint8_t *p, size_t n, uint32_t *checks) {
    uint64_t a = 0xFFFFFFFFu, b = a, c = a;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t x, y, z;
        memcpy(&x, p + i, 8);
        memcpy(&y, p + n + i, 8);
        memcpy(&z, p + 2 * n + i, 8);
        a = _mm_crc32_u64(a, x);
        b = _mm_crc32_u64(b, y);
        c = _mm_crc32_u64(c, z);
    }
    checks[0] = ~(uint32_t)a;
    checks[1] = ~(uint32_t)b;
    checks[2] = ~(uint32_t)c;
}
#endif

uint32_t cairn_crc32c(uint32_t crc, const void *bytes, size_t length) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc32c_hardware(~crc, bytes, length);
#endif
    return ~crc32c_software(~crc, bytes, length);
}

void cairn_crc32c_chunks(const void *bytes, size_t chunk, size_t count, uint32_t *checks) {
    const uint8_t *p = bytes;
    size_t i = 0;
#if defined(__x86_64__)
    if (chunk % 8 == 0 && __builtin_cpu_supports("sse4.2"))
        for (; i + 3 <= count; i += 3) crc32c_hardware_three(p + i * chunk, chunk, checks + i);
#endif
    for (; i < count; i++) checks[i] = cairn_crc32c(0, p + i * chunk, chunk);
}

size_t cairn_pack_nonzero(void *bytes, size_t length, size_t block, size_t least, uint32_t *runs, size_t capacity, size_t *count) {
    uint8_t *base = bytes;
    size_t blocks = (length + block - 1) / block, used = 0, kept = 0, from = 0, at = 0;
    *count = 0;
    if (capacity < blocks + 2) return length;
    while (at < blocks) {
        size_t zeros = at;
        while (zeros < blocks && is_zero(base + zeros * block, zeros + 1 < blocks ? block : length - zeros * block)) zeros++;
        if (zeros - at < least) {
            at = zeros > at ? zeros : at + 1;
            continue;
        }
        // [from, at) is kept, [at, zeros) is left out.
        if (used == 0) runs[used++] = at == 0 ? (uint32_t)zeros : 0;
        if (at > 0) {
            size_t n = (at - from) * block;
            memmove(base + kept, base + from * block, n);
            kept += n;
            runs[used++] = (uint32_t)(at - from);
            runs[used++] = (uint32_t)(zeros - at);
        }
        from = at = zeros;
    }
    if (used == 0) return length;
    if (from < blocks) {
        size_t n = length - from * block;
        memmove(base + kept, base + from * block, n);
        kept += n;
        runs[used++] = (uint32_t)(blocks - from);
    }
    *count = used;
    return kept;
}

int cairn_unpack_nonzero(void *bytes, size_t kept, size_t length, size_t block, const uint32_t *runs, size_t count) {
    uint8_t *base = bytes;
    size_t blocks = 0;
    for (size_t i = 0; i < count; i++) blocks += runs[i];
    if (blocks != (length + block - 1) / block) return -1;
    // From the end, so that nothing is overwritten before it was moved.
    size_t end = length, source = kept;
    for (size_t i = count; i-- > 0;) {
        size_t start = (size_t)(blocks - runs[i]) * block;
        size_t n = end > start ? end - start : 0;
        blocks -= runs[i];
        if (i % 2 == 1) {
            if (n > source) return -1;
            source -= n;
            memmove(base + start, base + source, n);
        } else {
            memset(base + start, 0, n);
        }
        end = start;
    }
    return source == 0 ? 0 : -1;
}
