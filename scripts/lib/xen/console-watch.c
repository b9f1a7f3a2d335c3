// console-watch FILE SECONDS: follows a guest's console from outside the guest and finds its pauses.
//
// Every line "T n ms" (hashchain --tick) is stamped with this machine's monotonic clock when it arrives. At the end, on SIGTERM, or
// after SECONDS, one line of JSON: ticks seen, the longest time between two of them and where, ticks that are missing or came twice.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ended;
static void end(int signal) { (void)signal, ended = 1; }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int count, char **words) {
    if (count != 3) return fprintf(stderr, "usage: console-watch FILE SECONDS\n"), 2;
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigset_t signals; // whoever started this may have had them blocked
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    int file = open(words[1], O_RDONLY | O_CLOEXEC);
    if (file < 0) return perror(words[1]), 1;
    lseek(file, 0, SEEK_END);
    double until = now() + atof(words[2]), last = 0, longest = 0, second = 0, sum = 0;
    long ticks = 0, first_tick = 0, last_tick = 0, longest_at = 0, missing = 0, repeated = 0;
    char line[512];
    size_t length = 0;
    while (!ended && now() < until) {
        char bytes[4096];
        ssize_t got = read(file, bytes, sizeof bytes);
        if (got < 0 && errno != EINTR) return perror(words[1]), 1;
        if (got <= 0) {
            nanosleep(&(struct timespec){0, 2000000}, NULL);
            continue;
        }
        double arrived = now();
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] != '\n' && bytes[i] != '\r') {
                if (length < sizeof line - 1) line[length++] = bytes[i];
                continue;
            }
            line[length] = 0;
            length = 0;
            long tick;
            if (sscanf(line, "T %ld", &tick) != 1) continue;
            if (ticks == 0) {
                first_tick = tick;
            } else {
                double gap = arrived - last;
                sum += gap;
                if (gap > longest) second = longest, longest = gap, longest_at = tick;
                else if (gap > second) second = gap;
                if (tick <= last_tick) repeated++;
                else missing += tick - last_tick - 1;
            }
            last = arrived;
            last_tick = tick;
            ticks++;
        }
    }
    printf("{\"ticks\":%ld,\"first\":%ld,\"last\":%ld,\"longestSeconds\":%.4f,\"longestAt\":%ld,\"secondLongestSeconds\":%.4f,"
           "\"meanSeconds\":%.4f,\"missing\":%ld,\"repeated\":%ld}\n",
           ticks, first_tick, last_tick, longest, longest_at, second, ticks > 1 ? sum / (double)(ticks - 1) : 0, missing, repeated);
    return 0;
}
