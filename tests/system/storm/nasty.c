/* Programs that are hard to end or hard to see: nasty KIND [NUMBER [MIB]]. Each ends by itself after five minutes.

   bomb N        forks until there are N processes, each of which refuses SIGTERM
   swarm N MIB   N processes that hold MIB each
   zombies N MIB a parent of N zombies that holds MIB
   headless MIB  its first thread has ended, another one holds MIB
   vfork MIB     holds MIB and waits without interruption for a child that sleeps
   stuck MIB F   holds MIB and then writes to F
   hold MIB      holds MIB */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include "storm.h"

#define LIFE_SECONDS 300

static void hold(long mib) {
    char *held = memory(mib * MIB + 1);
    for (long at = 0; at < mib * MIB; at += PAGE) memcpy(held + at, &at, sizeof at);
}

static void *hold_on(void *mib) {
    hold(*(long *)mib);
    for (;;) pause();
    return NULL;
}

static void bomb(long most) {
    volatile long *born = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGTERM, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    while (__atomic_add_fetch(born, 1, __ATOMIC_SEQ_CST) < most) {
        if (fork() == 0) alarm(LIFE_SECONDS);
    }
}

static void many(long number, long mib, int zombies) {
    for (long each = 0; each < number; each++) {
        if (fork()) continue;
        if (zombies) _exit(0);
        alarm(LIFE_SECONDS);
        hold(mib);
        for (;;) pause();
    }
    if (zombies) hold(mib);
}

int main(int count, char **words) {
    const char *kind = count > 1 ? words[1] : "";
    static long first, second;
    first = count > 2 ? atol(words[2]) : 0;
    second = count > 3 ? atol(words[3]) : 0;
    alarm(LIFE_SECONDS);
    if (!strcmp(kind, "bomb")) bomb(first);
    if (!strcmp(kind, "swarm")) many(first, second, 0);
    if (!strcmp(kind, "zombies")) many(first, second, 1);
    if (!strcmp(kind, "hold") || !strcmp(kind, "vfork") || !strcmp(kind, "stuck")) hold(first);
    if (!strcmp(kind, "headless")) {
        pthread_t other;
        pthread_create(&other, NULL, hold_on, &first);
        pthread_exit(NULL);
    }
    if (!strcmp(kind, "vfork") && vfork() == 0) {
        for (;;) pause();
    }
    if (!strcmp(kind, "stuck")) {
        int file = open(words[3], O_WRONLY | O_CREAT, 0600);
        if (write(file, "stuck", 5) < 0) fail(words[3]);
    }
    for (;;) pause();
}
