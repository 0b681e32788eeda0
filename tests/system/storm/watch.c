/* Looks at a storm every 10 ms and says in JSON what it saw: watch PID SECONDS AFTERMATH.

   It gives the go, and ends AFTERMATH seconds after the runaway PID has, or SECONDS after the go. It is locked in memory
   and comes before all others, so that it sees what happens while nobody else can. */
#include <sched.h>
#include <signal.h>
#include "storm.h"

#define LOOK_NS 10000000LL
#define PF_EXITING 4

static int exiting(int file) {
    char text[512], state;
    unsigned flags;
    ssize_t size = pread(file, text, sizeof text - 1, 0);
    if (size <= 0) return 1;
    text[size] = 0;
    char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 2, "%c %*d %*d %*d %*d %*d %u", &state, &flags) != 2) return 1;
    return state == 'Z' || state == 'X' || (flags & PF_EXITING) != 0;
}

static double since(int64_t then, int64_t start) { return then ? (then - start) / 1e9 : -1; }

int main(int count, char **words) {
    if (count < 4) return 2;
    struct sched_param first = {.sched_priority = 50};
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/stat", words[1]);
    int meminfo = open("/proc/meminfo", O_RDONLY), vmstat = open("/proc/vmstat", O_RDONLY), stat = open(path, O_RDONLY);
    struct pulse *pulse = open_pulse();
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0 || sched_setscheduler(0, SCHED_FIFO, &first) < 0) fail("watch");
    long total = number(meminfo, "MemTotal:") / 1024, lowest = total, kills = number(vmstat, "\noom_kill ");
    double calm = pulse->longest_ns / 1e9;
    pulse->longest_ns = pulse->total_ns = 0;

    int64_t start = now_ns(), ends = start + atol(words[2]) * 1000000000LL, low = 0, gone = 0, killed = 0, now;
    close(open(GO, O_WRONLY | O_CREAT, 0644));
    for (int64_t next = start; (now = now_ns()) < ends; next += LOOK_NS) {
        long left = available_mib(meminfo);
        if (left < lowest) lowest = left;
        if (!low && left * 10 <= total) low = now;
        if (!killed && number(vmstat, "\noom_kill ") > kills) killed = now;
        if (!gone && exiting(stat)) {
            gone = now;
            ends = now + atol(words[3]) * 1000000000LL;
        }
        if (next - now > 0) rest(next - now);
    }
    /* Whoever stands still as we end has not told of it. */
    int64_t silent = now - pulse->last_ns, longest = pulse->longest_ns;
    printf("{\"calm_longest_seconds\": %.3f, \"longest_seconds\": %.3f, \"total_seconds\": %.3f, ", calm,
           (silent > longest ? silent : longest) / 1e9, (pulse->total_ns + (silent > 50000000 ? silent : 0)) / 1e9);
    printf("\"low_seconds\": %.3f, \"ended_seconds\": %.3f, \"oom_seconds\": %.3f, ", since(low, start),
           since(gone, start), since(killed, start));
    printf("\"total_mib\": %ld, \"lowest_mib\": %ld, \"oom_kills\": %ld, \"beats\": %ld}\n", total, lowest,
           number(vmstat, "\noom_kill ") - kills, (long)pulse->beats);
    return 0;
}
