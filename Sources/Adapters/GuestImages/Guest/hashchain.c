// hashchain: a task that is worth saving.
//
// A chain of SHA-256 over a working set in memory, with a file that grows on disk. Its result depends on every step, on all
// of the memory and on all of the file as it is read back, and on nothing else: not on time, speed, pauses or the machine.
// So a run that was saved, lost and restored any number of times must print the very result of an undisturbed run
// (`--fast`, which only leaves out waiting). Between, it looks for silent corruption: its file is read past the page cache
// and compared with digests held in memory, its memory with sums held elsewhere.
//
// Lines on standard output, each by one write:
//   CAIRN START steps=N rate=R seed=S memory=BYTES     at the beginning
//   CAIRN PROGRESS done/total                          at least once a second, and at both ends
//   CAIRN CHECK ok size=BYTES direct=1                 direct=0: this file system cannot bypass the page cache
//   CAIRN CHECK CORRUPT what...                        and exit status 3
//   CAIRN RESULT 64 hex digits                         at the end
//   CAIRN FAIL why                                     exit status 4: input and output; 2: the command line
//   T n milliseconds                                   with --tick: a monotonic clock's reading, to measure pauses by
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { exit_usage = 2, exit_corrupt = 3, exit_failed = 4 };
enum { block_bytes = 4096, block_words = block_bytes / 8, region_blocks = 256 };
static const int64_t second = 1000000000;

// ---- lines

static void say(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    if (length > (int)sizeof line - 2) length = sizeof line - 2;
    line[length++] = '\n';
    for (int sent = 0; sent < length;) {
        ssize_t wrote = write(1, line + sent, (size_t)(length - sent));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) _exit(exit_failed); // nobody can hear why
        sent += (int)wrote;
    }
}

#define stop(status, ...) (say(__VA_ARGS__), exit(status))

// ---- hashes

// SHA-256. Source: FIPS 180-4.
typedef struct { uint32_t h[8]; uint8_t block[64]; uint64_t length; } sha256;

static const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void sha256_compress(uint32_t h[8], const uint8_t *p) {
#define rotate(x, n) ((x) >> (n) | (x) << (32 - (n)))
    uint32_t w[64];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = k + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + sha256_constants[i] + w[i];
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        k = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += k;
#undef rotate
}

static sha256 sha256_begin(void) {
    return (sha256){.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

static void sha256_add(sha256 *s, const void *data, size_t length) {
    const uint8_t *p = data;
    while (length) {
        size_t used = s->length % 64, some = 64 - used < length ? 64 - used : length;
        if (used == 0 && some == 64) {
            sha256_compress(s->h, p);
        } else {
            memcpy(s->block + used, p, some);
            if (used + some == 64) sha256_compress(s->h, s->block);
        }
        s->length += some, p += some, length -= some;
    }
}

static void sha256_end(sha256 *s, uint8_t digest[32]) {
    uint64_t bits = s->length * 8;
    uint8_t padding[72] = {0x80};
    size_t zeros = (119 - s->length % 64) % 64; // up to 56 modulo 64, counting the 0x80
    uint8_t *end = padding + 1 + zeros;
    for (int i = 0; i < 8; i++) end[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(s, padding, 1 + zeros + 8);
    for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

// A permutation of 64 bits that spreads every bit. Source: the finalizer of splitmix64 (Steele, Lea, Flood 2014).
static inline uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

// A block's 32 bytes in four lanes: fast enough for all of memory under emulation. Bulk goes through it before SHA-256:
// it need not resist an enemy, only show a change.
typedef struct { uint64_t lane[4]; } condensed;
static condensed condense(const uint64_t *block, uint64_t position) {
    condensed c = {{mix(position + 1), mix(position + 2), mix(position + 3), mix(position + 4)}};
    for (int i = 0; i < block_words; i += 4)
        for (int j = 0; j < 4; j++) c.lane[j] = ((c.lane[j] ^ block[i + j]) * 0x9e3779b97f4a7c15u) ^ (c.lane[j] >> 29);
    for (int j = 0; j < 4; j++) c.lane[j] = mix(c.lane[j]);
    return c;
}

// ---- time

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * second + t.tv_nsec;
}

static void sleep_for(int64_t nanoseconds) {
    struct timespec t = {nanoseconds / second, nanoseconds % second};
    nanosleep(&t, NULL);
}

// ---- the task

static struct {
    uint64_t steps, rate, seed, memory_mib, dirty_mib, write_kib, limit_mib, check_seconds, text_percent;
    int64_t tick_ms;
    const char *file;
    int fast;
} option = {.rate = 100, .seed = 1, .memory_mib = 32, .dirty_mib = 4, .write_kib = 128, .limit_mib = 256, .check_seconds = 5, .text_percent = 50,
            .file = "/var/lib/hashchain/chain"};

static uint8_t state[32];      // the chain
static uint64_t *memory;       // the working set
static uint64_t blocks;        // its size in blocks
static uint64_t *memory_sums;  // one for each region of the working set, kept up with every change
static uint64_t dirtied;       // blocks changed beyond the chain's own
static int file;
static uint64_t file_blocks, file_limit, appended; // blocks in the file, its limit, blocks ever written
static condensed *file_digests;                    // of each block of the file
static uint64_t *buffer;                           // aligned for reading past the page cache
enum { buffer_blocks = 256 };

// What one word adds to its region's sum; depends on where it lies, so that exchanged words show.
static inline uint64_t share(uint64_t index, uint64_t word) { return mix(word ^ index * 0x9e3779b97f4a7c15u); }

static inline void change(uint64_t index, uint64_t word) {
    uint64_t *sum = &memory_sums[index / block_words / region_blocks];
    *sum += share(index, word) - share(index, memory[index]);
    memory[index] = word;
}

static uint64_t state_word(int i) {
    uint64_t word;
    memcpy(&word, state + 8 * i, 8);
    return word;
}

static void fill_memory(void) {
    for (uint64_t block = 0; block < blocks; block++) {
        uint64_t *words = memory + block * block_words;
        if (mix(option.seed ^ block) % 100 < option.text_percent) { // text-like: compresses well
            for (uint64_t i = 0; i < block_words; i += 8) {
                static const char record[65] = "record ........ of the working set, as it was at the beginning\n";
                memcpy(words + i, record, 64);
                for (int digit = 0; digit < 8; digit++)
                    ((char *)(words + i))[7 + digit] = "0123456789abcdef"[(block * block_words + i) >> (28 - 4 * digit) & 15];
            }
        } else {
            for (int i = 0; i < block_words; i++) words[i] = mix(option.seed + (block * block_words + (uint64_t)i) * 0x9e3779b97f4a7c15u);
        }
        for (int i = 0; i < block_words; i++) memory_sums[block / region_blocks] += share(block * block_words + (uint64_t)i, words[i]);
    }
}

// One link: the next state is the hash of the state and of the block of memory that the state points to; the block then
// takes a part of the state. Then more blocks are dirtied, as many as the steps so far owe.
static void step(uint64_t number) {
    uint64_t block = state_word(0) % blocks;
    sha256 hash = sha256_begin();
    sha256_add(&hash, state, sizeof state);
    sha256_add(&hash, &number, sizeof number);
    sha256_add(&hash, memory + block * block_words, block_bytes);
    sha256_end(&hash, state);
    uint64_t slot = block * block_words + state_word(1) % (block_words / 4) * 4;
    for (int i = 0; i < 4; i++) change(slot + (uint64_t)i, state_word(i));

    uint64_t owed = (number + 1) * option.dirty_mib * (1048576 / block_bytes) / option.rate;
    for (; dirtied < owed; dirtied++) {
        uint64_t word = mix(state_word(2) + dirtied);
        change(dirtied % blocks * block_words + word % block_words, word);
    }
}

static void sync_file(void) {
    if (fdatasync(file) != 0) stop(exit_failed, "CAIRN FAIL syncing %s: %s", option.file, strerror(errno));
}

// One block more at the end of the file; past its limit, over its oldest block.
static void append_block(void) {
    uint64_t position = appended % file_limit;
    uint64_t key = state_word(3) ^ mix(appended);
    memcpy(buffer, state, sizeof state);
    for (uint64_t i = 4; i < block_words; i++) buffer[i] = mix(key + i * 0x9e3779b97f4a7c15u);
    file_digests[position] = condense(buffer, position);
    for (size_t done = 0; done < block_bytes;) {
        ssize_t wrote = pwrite(file, (uint8_t *)buffer + done, block_bytes - done, (off_t)(position * block_bytes + done));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) stop(exit_failed, "CAIRN FAIL writing %s at %llu: %s", option.file, (unsigned long long)(position * block_bytes), strerror(errno));
        done += (size_t)wrote;
    }
    appended++;
    if (file_blocks < file_limit) file_blocks++;
}

// Reads the whole file from the disk itself and gives every block to `visit`. Returns 1 when the page cache was bypassed.
static int reread(void (*visit)(uint64_t block, const uint64_t *words)) {
    int direct = 1, from = open(option.file, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (from < 0) {
        direct = 0;
        from = open(option.file, O_RDONLY | O_CLOEXEC);
        if (from < 0) stop(exit_failed, "CAIRN FAIL opening %s: %s", option.file, strerror(errno));
        posix_fadvise(from, 0, 0, POSIX_FADV_DONTNEED);
    }
    for (uint64_t block = 0; block < file_blocks;) {
        uint64_t wanted = file_blocks - block < buffer_blocks ? file_blocks - block : buffer_blocks;
        ssize_t got = pread(from, buffer, wanted * block_bytes, (off_t)(block * block_bytes));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EINVAL && direct) { // opened, but cannot
            direct = 0;
            if (fcntl(from, F_SETFL, 0) != 0) stop(exit_failed, "CAIRN FAIL reading %s: %s", option.file, strerror(errno));
            posix_fadvise(from, 0, 0, POSIX_FADV_DONTNEED);
            continue;
        }
        if (got < 0) stop(exit_failed, "CAIRN FAIL reading %s at %llu: %s", option.file, (unsigned long long)(block * block_bytes), strerror(errno));
        if (got < block_bytes) {
            stop(exit_corrupt, "CAIRN CHECK CORRUPT file=%s ends at %llu of %llu direct=%d", option.file,
                 (unsigned long long)(block * block_bytes) + (unsigned long long)got, (unsigned long long)(file_blocks * block_bytes), direct);
        }
        for (int64_t i = 0; i < got / block_bytes; i++) visit(block + (uint64_t)i, buffer + i * block_words);
        block += (uint64_t)got / block_bytes;
    }
    close(from);
    return direct;
}

static uint64_t wrong_blocks, first_wrong;
static void compare(uint64_t block, const uint64_t *words) {
    condensed found = condense(words, block);
    if (memcmp(&found, &file_digests[block], sizeof found) == 0) return;
    if (wrong_blocks++ == 0) first_wrong = block;
}

static void check(void) {
    for (uint64_t region = 0; region * region_blocks < blocks; region++) {
        uint64_t sum = 0, end = (region + 1) * region_blocks < blocks ? (region + 1) * region_blocks : blocks;
        for (uint64_t i = region * region_blocks * block_words; i < end * block_words; i++) sum += share(i, memory[i]);
        if (sum != memory_sums[region])
            stop(exit_corrupt, "CAIRN CHECK CORRUPT memory within 1 MiB from offset %llu", (unsigned long long)(region * region_blocks * block_bytes));
    }
    wrong_blocks = 0;
    int direct = reread(compare);
    if (wrong_blocks)
        stop(exit_corrupt, "CAIRN CHECK CORRUPT file=%s blocks=%llu of %llu first at %llu direct=%d", option.file, (unsigned long long)wrong_blocks,
             (unsigned long long)file_blocks, (unsigned long long)(first_wrong * block_bytes), direct);
    say("CAIRN CHECK ok size=%llu direct=%d", (unsigned long long)(file_blocks * block_bytes), direct);
}

static sha256 result;
static void add_to_result(uint64_t block, const uint64_t *words) {
    condensed found = condense(words, block);
    sha256_add(&result, &found, sizeof found);
}

static void say_result(void) {
    result = sha256_begin();
    sha256_add(&result, state, sizeof state);
    sha256_add(&result, &option.steps, sizeof option.steps);
    for (uint64_t block = 0; block < blocks; block++) {
        condensed found = condense(memory + block * block_words, block);
        sha256_add(&result, &found, sizeof found);
    }
    sha256_add(&result, &appended, sizeof appended);
    reread(add_to_result);
    uint8_t digest[32];
    sha256_end(&result, digest);
    char text[65];
    for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    say("CAIRN RESULT %s", text);
}

static void *tick(void *unused) {
    (void)unused;
    for (uint64_t n = 0;; n++) {
        say("T %llu %lld", (unsigned long long)n, (long long)(now() / 1000000));
        sleep_for(option.tick_ms * 1000000);
    }
    return NULL;
}

static void run(void) {
    int64_t interval = second / (int64_t)option.rate;
    // Slower than asked for means later, never a burst: a gap (a pause, a restore, a slow machine) may be made good by at most
    // this much, so that the pace after a restore goes on from where it was.
    const int64_t most_behind = second / 5;
    int64_t next = now(), said = next;
    uint64_t check_steps = option.fast ? 0 : option.check_seconds * option.rate;
    for (uint64_t number = 0; number < option.steps; number++) {
        step(number);
        uint64_t done = number + 1, owed = done / option.rate * option.write_kib / (block_bytes / 1024);
        if (appended < owed) {
            while (appended < owed) append_block();
            if (!option.fast) sync_file();
        }
        if (check_steps && done % check_steps == 0) check();
        int64_t time = now();
        if (time - said >= second / 2) {
            say("CAIRN PROGRESS %llu/%llu", (unsigned long long)done, (unsigned long long)option.steps);
            said = time;
        }
        if (option.fast) continue;
        next += interval;
        if (next > time) {
            sleep_for(next - time);
        } else if (time - next > most_behind) {
            next = time - most_behind;
        }
    }
}

// ---- the command line

static void usage(const char *problem, const char *what) {
    say("CAIRN FAIL hashchain: %s %s", problem, what);
    fprintf(stderr,
            "usage: hashchain (--seconds N | --steps N) [--rate STEPS-PER-SECOND] [--seed S] [--memory MIB] [--text-percent P]\n"
            "                 [--dirty-mib-per-s D] [--write-kib-per-s K] [--file PATH] [--file-limit MIB] [--check-every SECONDS]\n"
            "                 [--tick MILLISECONDS] [--fast]\n");
    exit(exit_usage);
}

static uint64_t number_of(const char *name, const char *text, uint64_t low, uint64_t high) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || value < low || value > high) {
        char range[160];
        snprintf(range, sizeof range, "%s must be a whole number from %llu to %llu, not", name, (unsigned long long)low, (unsigned long long)high);
        usage(range, text);
    }
    return value;
}

static void parse(int count, char **words) {
    uint64_t seconds = 0;
    for (int i = 1; i < count; i++) {
        const char *name = words[i];
        if (!strcmp(name, "--fast")) {
            option.fast = 1;
            continue;
        }
        if (i + 1 == count) usage("a value is missing, or the option is unknown:", name);
        const char *value = words[++i];
        if (!strcmp(name, "--seconds")) seconds = number_of(name, value, 1, 1u << 26);
        else if (!strcmp(name, "--steps")) option.steps = number_of(name, value, 1, 1ull << 40);
        else if (!strcmp(name, "--rate")) option.rate = number_of(name, value, 1, 1000000);
        else if (!strcmp(name, "--seed")) option.seed = number_of(name, value, 0, UINT64_MAX);
        else if (!strcmp(name, "--memory")) option.memory_mib = number_of(name, value, 1, 1u << 20);
        else if (!strcmp(name, "--text-percent")) option.text_percent = number_of(name, value, 0, 100);
        else if (!strcmp(name, "--dirty-mib-per-s")) option.dirty_mib = number_of(name, value, 0, 1u << 16);
        else if (!strcmp(name, "--write-kib-per-s")) option.write_kib = number_of(name, value, 0, 1u << 20);
        else if (!strcmp(name, "--file")) option.file = value;
        else if (!strcmp(name, "--file-limit")) option.limit_mib = number_of(name, value, 1, 1u << 20);
        else if (!strcmp(name, "--check-every")) option.check_seconds = number_of(name, value, 0, 1u << 20);
        else if (!strcmp(name, "--tick")) option.tick_ms = (int64_t)number_of(name, value, 1, 60000);
        else usage("unknown option", name);
    }
    if ((seconds == 0) == (option.steps == 0)) usage("give one of", "--seconds and --steps");
    if (seconds) option.steps = seconds * option.rate;
}

static void *reserve(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) stop(exit_failed, "CAIRN FAIL reserving %zu bytes: %s", bytes, strerror(errno));
    return memory;
}

// Says so at once where the working set cannot fit: a guest without a swap area would otherwise crawl for ever, reading its
// programs from disk again and again.
static void require_memory(void) {
    const uint64_t needed_kib = (option.memory_mib << 10) + (option.limit_mib << 10) / block_bytes * sizeof *file_digests + 12288;
    FILE *facts = fopen("/proc/meminfo", "r");
    if (!facts) return; // no way to know
    char line[128];
    unsigned long long available_kib;
    while (fgets(line, sizeof line, facts)) {
        if (sscanf(line, "MemAvailable: %llu kB", &available_kib) == 1 && available_kib < needed_kib)
            stop(exit_failed, "CAIRN FAIL %llu MiB of memory are needed, %llu MiB are available", (unsigned long long)needed_kib >> 10, available_kib >> 10);
    }
    fclose(facts);
}

// Makes the folders above a file; one that cannot be made shows when the file is opened.
static void make_folders(const char *path) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = folder; (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        mkdir(folder, 0755);
        *slash = '/';
    }
}

int main(int count, char **words) {
    signal(SIGPIPE, SIG_IGN);
    parse(count, words);
    say("CAIRN START steps=%llu rate=%llu seed=%llu memory=%llu", (unsigned long long)option.steps, (unsigned long long)option.rate,
        (unsigned long long)option.seed, (unsigned long long)option.memory_mib << 20);
    say("CAIRN PROGRESS 0/%llu", (unsigned long long)option.steps);

    require_memory();
    blocks = (option.memory_mib << 20) / block_bytes;
    memory = reserve(blocks * block_bytes);
    memory_sums = reserve((blocks / region_blocks + 1) * sizeof *memory_sums);
    file_limit = (option.limit_mib << 20) / block_bytes;
    file_digests = reserve(file_limit * sizeof *file_digests);
    buffer = reserve(buffer_blocks * block_bytes);
    // Kept in memory where that is allowed; where it is not, the result is the same.
    if (!option.fast) (void)mlockall(MCL_CURRENT | MCL_ONFAULT);
    make_folders(option.file);
    file = open(option.file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) stop(exit_failed, "CAIRN FAIL opening %s: %s", option.file, strerror(errno));

    pthread_t ticks;
    if (option.tick_ms && !option.fast && (errno = pthread_create(&ticks, NULL, tick, NULL)) != 0)
        stop(exit_failed, "CAIRN FAIL starting the ticks: %s", strerror(errno));

    fill_memory();
    for (int i = 0; i < 32; i++) state[i] = (uint8_t)(mix(option.seed + (uint64_t)i / 8) >> (8 * (i % 8)));
    run();
    sync_file();
    check();
    say("CAIRN PROGRESS %llu/%llu", (unsigned long long)option.steps, (unsigned long long)option.steps);
    say_result();
    return 0;
}
