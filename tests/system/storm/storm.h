/* What the programs of a storm share: time, the bystander's pulse, and what the kernel says is left. */
#ifndef STORM_H
#define STORM_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024L)
#define PAGE 4096L
#define PULSE "/dev/shm/storm-pulse"
#define GO "/run/storm-go"

/* Written by the bystander at each beat, read and set back to zero by the watch. */
struct pulse {
    volatile int64_t last_ns;
    volatile int64_t longest_ns;
    volatile int64_t total_ns;
    volatile int64_t beats;
};

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline void rest(int64_t nanoseconds) {
    struct timespec time = {nanoseconds / 1000000000LL, nanoseconds % 1000000000LL};
    nanosleep(&time, NULL);
}

static inline void fail(const char *what) {
    perror(what);
    exit(1);
}

static inline struct pulse *open_pulse(void) {
    int file = open(PULSE, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, sizeof(struct pulse)) < 0) fail(PULSE);
    struct pulse *pulse = mmap(NULL, sizeof *pulse, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (pulse == MAP_FAILED) fail("mmap");
    return pulse;
}

static inline char *memory(long bytes) {
    char *held = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (held == MAP_FAILED) fail("mmap");
    return held;
}

/* A number of a file of lines "name[:] number", from a descriptor that is kept open; -1 if it is not there. */
static inline long number(int file, const char *name) {
    static char text[32768];
    ssize_t size = pread(file, text, sizeof text - 1, 0);
    if (size <= 0) return -1;
    text[size] = 0;
    char *found = strstr(text, name);
    return found ? atol(found + strlen(name)) : -1;
}

static inline long available_mib(int meminfo) { return number(meminfo, "\nMemAvailable:") / 1024; }

#endif
