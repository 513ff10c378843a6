/*
 * Works without end on one CPU, and counts what it does: soaker <cpu>.
 *
 * Each round fills a buffer from a 64-bit generator, sums it up, and asks the kernel for something. What the sum of a
 * round must be follows from its number: whoever reads the facts computes it anew.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 512, ROUNDS_PER_REPORT = 64 };

static const uint64_t FACTOR = 6364136223846793005ULL, STEP = 1442695040888963407ULL;

static uint64_t words[WORDS];
/* How often soaker_tick has been entered: in memory, for whoever looks from outside. */
volatile uint64_t ticks;
uint64_t soaker_tick(uint64_t value);

/* Counts itself with its third instruction; the first is where hooks are put. */
__asm__(".text\n"
        ".globl soaker_tick\n"
        "soaker_tick:\n"
        "  nop\n"
        "  mov %rdi, %rax\n"
        "  incq ticks(%rip)\n"
        "  ret\n");

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The kernel's part: a process, a pipe and a file, each of which must give back what it was given. */
static void use_kernel(uint64_t value)
{
    int ends[2];
    uint64_t back = 0;

    if (pipe(ends) < 0) {
        fail("pipe");
    }
    pid_t child = fork();
    if (child < 0) {
        fail("fork");
    }
    if (child == 0) {
        _exit(write(ends[1], &value, sizeof(value)) != sizeof(value));
    }
    int status = -1;
    if (read(ends[0], &back, sizeof(back)) != sizeof(back) || waitpid(child, &status, 0) != child || status != 0) {
        fail("child");
    }
    if (back != value) {
        printf("rebox-guest: error=a pipe gave back another value\n");
        exit(1);
    }
    close(ends[0]);
    close(ends[1]);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: soaker <cpu>\n");
        return 2;
    }
    int cpu = atoi(argv[1]);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0) {
        fail("sched_setaffinity");
    }
    printf("rebox-guest: soaker.%d.tick=0x%llx\n", cpu, (unsigned long long)(uintptr_t)soaker_tick);
    printf("rebox-guest: soaker.%d.ticks=0x%llx\n", cpu, (unsigned long long)(uintptr_t)&ticks);
    printf("rebox-guest: soaker.%d.words=0x%llx\n", cpu, (unsigned long long)(uintptr_t)words);
    printf("rebox-guest: soaker.%d.ready=1\n", cpu);
    fflush(stdout);
    for (uint64_t round = 1;; round++) {
        uint64_t value = round + ((uint64_t)cpu << 32), sum = 0;
        for (int i = 0; i < WORDS; i++) {
            value = value * FACTOR + STEP;
            words[i] = value;
        }
        for (int i = 0; i < WORDS; i++) {
            sum = (sum << 7 | sum >> 57) ^ soaker_tick(words[i]);
        }
        if (round % ROUNDS_PER_REPORT == 0) {
            use_kernel(sum);
            /* One write: lines of two processes must not be mixed. */
            char line[128];
            int size = snprintf(line, sizeof(line), "rebox-guest: soak.%d=%llu 0x%llx %llu\n", cpu,
                                (unsigned long long)round, (unsigned long long)sum, (unsigned long long)ticks);
            if (write(1, line, (size_t)size) != size) {
                fail("write");
            }
        }
    }
}
