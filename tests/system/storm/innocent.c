/* A large program that harms nobody: holds MIB of memory, each page its own, and touches all of it once in ten seconds. */
#include "storm.h"

#define PARTS 100

int main(int count, char **words) {
    long size = (count > 1 ? atol(words[1]) : 600) * MIB;
    char *held = memory(size);
    for (long at = 0; at < size; at += PAGE) memcpy(held + at, &at, sizeof at);
    for (int part = 0;; part = (part + 1) % PARTS) {
        rest(100000000LL);
        for (long at = size / PARTS * part; at < size / PARTS * (part + 1); at += PAGE) held[at]++;
    }
}
