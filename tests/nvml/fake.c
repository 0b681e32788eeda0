/* Answers as libnvidia-ml.so.1 does, from a file that another process, or the test itself, writes: see control.py.
 * Handles are small numbers: GPU i is i + 1, its MIG instance j is i + 1 + 16 * (j + 1). */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { OK, UNINITIALIZED, INVALID, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = 6, TOO_SMALL = 7, NOT_LOADED = 9 };

struct process { uint32_t pid, kinds, instance, sm; uint64_t memory; };
struct mig { char uuid[64], name[64]; uint64_t total, used; };
struct gpu {
    char uuid[64], name[64];
    uint32_t bus, fault, mig_mode, migs, processes, growing, refusal;
    uint64_t refused, total, used, reserved, energy, throttle;
    uint32_t busy, busy_memory, temperature, power, limit, clocks[3], fan, encoder, decoder, pcie[2], state;
    uint64_t ecc[2];
    struct mig mig[4];
    struct process process[64];
};
struct all {
    uint32_t count, init_fault, version_fault, shutdown_fault, fault, hang, waiting, inits, open, calls;
    char driver[64];
    struct gpu gpu[4];
};

static struct all *all;

int nvmlInitWithFlags(unsigned flags) {
    const char *path = getenv("RESOURCED_FAKE_NVML");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    (void)flags;
    if (file < 0) return NOT_LOADED;
    struct all *mapped = mmap(0, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) return 999;
    if (mapped->init_fault) { int fault = mapped->init_fault; munmap(mapped, sizeof *all); return fault; }
    if (all) munmap(all, sizeof *all);
    all = mapped;
    all->inits++, all->open++, all->fault = OK;
    return OK;
}

int nvmlShutdown(void) {
    if (!all) return UNINITIALIZED;
    all->open--;
    return all->shutdown_fault;
}

const char *nvmlErrorString(int code) { (void)code; return "an error of the fake"; }

static int library(void) {
    if (!all || !all->open) return UNINITIALIZED;
    all->calls++;
    if (all->hang) {
        all->waiting = 1;
        while (all->hang) nanosleep(&(struct timespec){0, 1000000}, 0);
        all->waiting = 0;
    }
    return all->fault;
}

static struct gpu *gpu_of(uintptr_t handle) { return &all->gpu[(handle - 1) % 16]; }

static struct mig *mig_of(uintptr_t handle) { return handle > 16 ? &gpu_of(handle)->mig[(handle - 1) / 16 - 1] : 0; }

/* The order of these is that of CALLS in control.py. */
enum { UTILIZATION, MEMORY, MEMORY_V2, TEMPERATURE, POWER, LIMIT, ENERGY, CLOCK, FAN, ENCODER, DECODER, PCIE, ECC, THROTTLE,
       PERFORMANCE, COMPUTE, GRAPHICS, SAMPLES };

static int asked(uintptr_t handle, int call) {
    int fault = library();
    if (fault) return fault;
    if (gpu_of(handle)->fault) return gpu_of(handle)->fault;
    return call >= 0 && gpu_of(handle)->refused >> call & 1 ? (int)gpu_of(handle)->refusal : OK;
}

#define ANSWER(handle, call, statement) \
    do { int fault_ = asked(handle, call); if (fault_) return fault_; statement; return OK; } while (0)

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    int fault = library();
    if (!fault) snprintf(text, size, "%s", all->driver);
    return fault ? fault : (int)all->version_fault;
}
int nvmlDeviceGetCount_v2(unsigned *count) { int fault = library(); if (!fault) *count = all->count; return fault; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, uintptr_t *handle) {
    if (!all || index >= all->count) return INVALID;
    ANSWER(index + 1, -1, *handle = index + 1);
}
int nvmlDeviceGetUUID(uintptr_t h, char *text, unsigned size) {
    ANSWER(h, -1, snprintf(text, size, "%s", mig_of(h) ? mig_of(h)->uuid : gpu_of(h)->uuid));
}
int nvmlDeviceGetName(uintptr_t h, char *text, unsigned size) {
    ANSWER(h, -1, snprintf(text, size, "%s", mig_of(h) ? mig_of(h)->name : gpu_of(h)->name));
}
struct pci { char legacy[16]; uint32_t domain, bus, device, id, subsystem; char address[32]; };
int nvmlDeviceGetPciInfo_v3(uintptr_t h, struct pci *pci) {
    int fault = asked(h, -1);
    if (fault) return fault;
    memset(pci, 0, sizeof *pci);
    pci->bus = gpu_of(h)->bus;
    snprintf(pci->address, sizeof pci->address, "00000000:%02X:00.0", pci->bus);
    return OK;
}
int nvmlDeviceGetUtilizationRates(uintptr_t h, uint32_t *two) {
    ANSWER(h, UTILIZATION, (two[0] = gpu_of(h)->busy, two[1] = gpu_of(h)->busy_memory));
}
int nvmlDeviceGetMemoryInfo(uintptr_t h, uint64_t *three) {
    struct mig *m = mig_of(h);
    struct gpu *g = gpu_of(h);
    uint64_t total = m ? m->total : g->total, used = m ? m->used : g->used + g->reserved;
    ANSWER(h, MEMORY, (three[0] = total, three[1] = total - used, three[2] = used));
}
struct memory { uint32_t version; uint64_t total, reserved, free, used; };
int nvmlDeviceGetMemoryInfo_v2(uintptr_t h, struct memory *it) {
    struct mig *m = mig_of(h);
    struct gpu *g = gpu_of(h);
    if (it->version != (2u << 24 | sizeof *it)) return 25;
    it->total = m ? m->total : g->total, it->used = m ? m->used : g->used, it->reserved = m ? 0 : g->reserved;
    ANSWER(h, MEMORY_V2, it->free = it->total - it->used - it->reserved);
}
int nvmlDeviceGetTemperature(uintptr_t h, int sensor, uint32_t *v) { (void)sensor; ANSWER(h, TEMPERATURE, *v = gpu_of(h)->temperature); }
int nvmlDeviceGetPowerUsage(uintptr_t h, uint32_t *v) { ANSWER(h, POWER, *v = gpu_of(h)->power); }
int nvmlDeviceGetEnforcedPowerLimit(uintptr_t h, uint32_t *v) { ANSWER(h, LIMIT, *v = gpu_of(h)->limit); }
int nvmlDeviceGetTotalEnergyConsumption(uintptr_t h, uint64_t *v) { ANSWER(h, ENERGY, *v = gpu_of(h)->energy); }
int nvmlDeviceGetClockInfo(uintptr_t h, unsigned kind, uint32_t *v) { ANSWER(h, CLOCK, *v = gpu_of(h)->clocks[kind % 3]); }
int nvmlDeviceGetFanSpeed(uintptr_t h, uint32_t *v) { ANSWER(h, FAN, *v = gpu_of(h)->fan); }
int nvmlDeviceGetEncoderUtilization(uintptr_t h, uint32_t *v, uint32_t *us) { ANSWER(h, ENCODER, (*v = gpu_of(h)->encoder, *us = 1)); }
int nvmlDeviceGetDecoderUtilization(uintptr_t h, uint32_t *v, uint32_t *us) { ANSWER(h, DECODER, (*v = gpu_of(h)->decoder, *us = 1)); }
int nvmlDeviceGetPcieThroughput(uintptr_t h, unsigned way, uint32_t *v) { ANSWER(h, PCIE, *v = gpu_of(h)->pcie[way % 2]); }
int nvmlDeviceGetTotalEccErrors(uintptr_t h, unsigned kind, unsigned counter, uint64_t *v) {
    (void)counter;
    ANSWER(h, ECC, *v = gpu_of(h)->ecc[kind % 2]);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(uintptr_t h, uint64_t *v) { ANSWER(h, THROTTLE, *v = gpu_of(h)->throttle); }
int nvmlDeviceGetPerformanceState(uintptr_t h, uint32_t *v) { ANSWER(h, PERFORMANCE, *v = gpu_of(h)->state); }
int nvmlDeviceGetMigMode(uintptr_t h, uint32_t *now, uint32_t *later) {
    int fault = asked(h, -1);
    if (fault) return fault;
    if (!gpu_of(h)->mig_mode) return NOT_SUPPORTED;
    *now = *later = gpu_of(h)->mig_mode - 1;
    return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(uintptr_t h, uint32_t *count) { ANSWER(h, -1, *count = 7); }
int nvmlDeviceGetMigDeviceHandleByIndex(uintptr_t h, unsigned index, uintptr_t *found) {
    int fault = asked(h, -1);
    if (fault) return fault;
    if (index >= gpu_of(h)->migs) return NOT_FOUND;
    *found = h + 16 * (index + 1);
    return OK;
}

struct context { uint32_t pid; uint64_t memory; uint32_t gpu_instance, compute_instance; };
static int contexts(uintptr_t h, int call, unsigned kind, uint32_t *count, struct context *room) {
    struct gpu *g = gpu_of(h);
    unsigned instance = (h - 1) / 16, found = 0, size = *count;
    int fault = asked(h, call);
    if (fault) return fault;
    for (unsigned i = 0; i < g->processes; i++) {
        struct process *p = &g->process[i];
        if (!(p->kinds & kind) || p->instance != instance) continue;
        if (room && found < size) room[found] = (struct context){p->pid, p->memory, -1u, -1u};
        found++;
    }
    *count = found;
    if (!room && g->growing && g->growing <= 64) g->processes = g->growing, g->growing = 0;
    return found > size ? TOO_SMALL : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(uintptr_t h, uint32_t *count, struct context *room) {
    return contexts(h, COMPUTE, 1, count, room);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(uintptr_t h, uint32_t *count, struct context *room) {
    return contexts(h, GRAPHICS, 2, count, room);
}

struct sample { uint32_t pid; uint64_t microseconds; uint32_t sm, memory, encoder, decoder; };
int nvmlDeviceGetProcessUtilization(uintptr_t h, struct sample *room, uint32_t *count, uint64_t since) {
    struct gpu *g = gpu_of(h);
    struct timespec now;
    unsigned found = 0;
    int fault = asked(h, SAMPLES);
    (void)since;
    if (fault) return fault;
    clock_gettime(CLOCK_REALTIME, &now);
    for (unsigned i = 0; i < g->processes; i++) {
        if (!g->process[i].sm) continue;
        if (room && found < *count)
            room[found] = (struct sample){g->process[i].pid, now.tv_sec * 1000000ull + now.tv_nsec / 1000, g->process[i].sm, 0, 0, 0};
        found++;
    }
    fault = !found ? NOT_FOUND : !room || found > *count ? TOO_SMALL : OK;
    *count = found;
    return fault;
}
