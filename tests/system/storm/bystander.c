/* Somebody who works beside a storm: every 10 ms it touches a few MiB of its own and of a file, and tells how late it was. */
#include "storm.h"

#define BEAT_NS 10000000LL
#define STALL_NS 50000000LL
#define OWN (4 * MIB)

int main(void) {
    struct pulse *pulse = open_pulse();
    char *own = memory(OWN);
    memset(own, 1, OWN);
    int file = open("/var/tmp/storm-bystander", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, own, OWN) != OWN || fsync(file) < 0) fail("/var/tmp/storm-bystander");
    volatile char *pages = mmap(NULL, OWN, PROT_READ, MAP_SHARED, file, 0);
    if (pages == MAP_FAILED) fail("mmap");

    for (int64_t before = now_ns();;) {
        rest(BEAT_NS);
        for (long at = 0; at < OWN; at += PAGE) own[at] += pages[at];
        int64_t now = now_ns(), late = now - before - BEAT_NS;
        if (late > pulse->longest_ns) pulse->longest_ns = late;
        if (late > STALL_NS) pulse->total_ns += late;
        pulse->last_ns = now;
        pulse->beats++;
        before = now;
    }
}
