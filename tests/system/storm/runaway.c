/* The storm: runaway slow|fast|thrash SECONDS. It waits for the go, and ends by itself after SECONDS.

   slow    takes memory until LEFT_SLOW of it are left, then 20 MiB a second
   fast    takes memory as fast as it can be touched
   thrash  takes memory until LEFT_THRASH are left, then reads a larger file and its own memory round and round */
#include "storm.h"

#define TOTAL (16384 * MIB)
#define CHUNK MIB
#define LEFT_SLOW 600
#define LEFT_THRASH 150
#define SLOW_NS (1000000000LL / 20)
#define LIKED "/var/tmp/storm-file"

static char *held;
static long size;

static void take(void) {
    if (size + CHUNK > TOTAL) exit(0);
    for (long at = size; at < size + CHUNK; at += PAGE) memcpy(held + at, &at, sizeof at);
    size += CHUNK;
}

static void take_until_left(int meminfo, long mib) {
    while (available_mib(meminfo) > mib) take();
}

static void grow_slowly(int meminfo) {
    take_until_left(meminfo, LEFT_SLOW);
    for (int64_t next = now_ns();; next += SLOW_NS) {
        int64_t wait = next - now_ns();
        if (wait > 0) rest(wait);
        take();
    }
}

static void thrash(int meminfo) {
    static char buffer[CHUNK];
    take_until_left(meminfo, LEFT_THRASH);
    int file = open(LIKED, O_RDONLY);
    if (file < 0) fail(LIKED);
    for (long at = 0;;) {
        ssize_t got = read(file, buffer, sizeof buffer);
        if (got < 0) fail(LIKED);
        if (got == 0) lseek(file, 0, SEEK_SET);
        for (long end = at + CHUNK; at < end; at += PAGE) held[at % size]++;
    }
}

int main(int count, char **words) {
    if (count < 3) return 2;
    int meminfo = open("/proc/meminfo", O_RDONLY);
    held = memory(TOTAL);
    while (access(GO, F_OK) < 0) rest(2000000LL);
    alarm(atoi(words[2]));
    if (!strcmp(words[1], "slow")) grow_slowly(meminfo);
    if (!strcmp(words[1], "thrash")) thrash(meminfo);
    for (;;) take();
}
