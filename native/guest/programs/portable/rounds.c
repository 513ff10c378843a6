/*
 * Goes round after round, and does the same in each: tests of breakpoints know from this what they must see.
 *
 *   rounds THREADS ROUNDS    one thread on each vCPU from 0 on; ROUNDS 0 for no end
 *
 * Round n of thread t, from 1 on, in this order and each once:
 *
 *   rounds_call(t, n)          begins at rounds.call
 *   *word = n                  4 bytes at rounds.word.<t>, which is guest-physical rounds.physical.<t>
 *   a read of *word            the same
 *   *alias = n + 0x10000       4 bytes of the same page by another address, rounds.alias.<t>
 *
 * Says where all that is as "rebox-guest: rounds.<what>=<address>", waits for its sign (see go.h), and says
 * "rounds.done=<rounds>" at its end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "../go.h"

enum { PAGE = 4096, MOST_THREADS = 8, ALIAS_MARK = 0x10000 };

struct turner {
    unsigned thread;
    unsigned rounds;
    volatile uint32_t *word;
    volatile uint32_t *alias;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void say(const char *name, unsigned thread, uint64_t address)
{
    printf("rebox-guest: rounds.%s.%u=0x%llx\n", name, thread, (unsigned long long)address);
}

/* Returns the guest-physical address of what is mapped here; only root may ask. */
static uint64_t physical_address(const volatile void *place)
{
    uint64_t entry;
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_LARGEFILE);
    off64_t offset = (off64_t)((uintptr_t)place / PAGE) * (off64_t)sizeof(entry);

    if (pagemap < 0 || pread64(pagemap, &entry, sizeof(entry), offset) != sizeof(entry)) {
        fail("/proc/self/pagemap");
    }
    close(pagemap);
    if (!(entry >> 63)) {
        fail("page not present");
    }
    return (entry & ((1ULL << 55) - 1)) * PAGE + (uintptr_t)place % PAGE;
}

/* Maps one page of memory at two addresses. */
static void map_twice(struct turner *turner)
{
    int file = (int)syscall(SYS_memfd_create, "rounds", 0);
    void *pages[2];

    if (file < 0 || ftruncate(file, PAGE) < 0) {
        fail("memfd");
    }
    for (int i = 0; i < 2; i++) {
        pages[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        /* Locking brings the page in: no access of a round faults. */
        if (pages[i] == MAP_FAILED || mlock(pages[i], PAGE) < 0) {
            fail("page");
        }
    }
    close(file);
    turner->word = (volatile uint32_t *)((char *)pages[0] + 0x80);
    turner->alias = (volatile uint32_t *)((char *)pages[1] + 0x80);
    *turner->word = *turner->alias = 0;
}

static __attribute__((noipa)) void rounds_call(unsigned thread, unsigned round)
{
    __asm__ volatile("nop\n nop" : : "r"(thread), "r"(round) : "memory");
}

static void *turn(void *argument)
{
    const struct turner turner = *(const struct turner *)argument;
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(turner.thread, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0) {
        fail("affinity");
    }
    for (unsigned round = 1; turner.rounds == 0 || round <= turner.rounds; round++) {
        rounds_call(turner.thread, round);
        *turner.word = round;
        (void)*turner.word;
        *turner.alias = round + ALIAS_MARK;
        usleep(1000);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    struct turner turners[MOST_THREADS];
    pthread_t ids[MOST_THREADS];

    if (threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "usage: rounds THREADS ROUNDS\n");
        return 2;
    }
    for (unsigned thread = 0; thread < threads; thread++) {
        struct turner *turner = &turners[thread];
        turner->thread = thread;
        turner->rounds = rounds;
        map_twice(turner);
        say("word", thread, (uintptr_t)turner->word);
        say("alias", thread, (uintptr_t)turner->alias);
        say("physical", thread, physical_address(turner->word));
    }
    printf("rebox-guest: rounds.call=0x%llx\n", (unsigned long long)(uintptr_t)rounds_call);
    wait_for_go("rounds");
    for (unsigned thread = 0; thread < threads; thread++) {
        if (pthread_create(&ids[thread], NULL, turn, &turners[thread]) != 0) {
            fail("thread");
        }
    }
    for (unsigned thread = 0; thread < threads; thread++) {
        pthread_join(ids[thread], NULL);
    }
    printf("rebox-guest: rounds.done=%u\n", rounds);
    fflush(stdout);
    return 0;
}
