/*
 * Two processes with the same code at the same addresses, each on a CPU of its own: twin <fork|exec> <rounds> <rounds>.
 *
 * Each waits until somebody outside sets its variable `go`, then calls twin_work so many times and says how often it did.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

volatile uint64_t go;
volatile uint64_t count;

uint64_t twin_poll(void);
void twin_work(void);
extern const char twin_add[], twin_end[];

/* Six instructions: one write and one read of `count`, then one CPUID. */
/* clang-format off */
__asm__(
    ".text\n"
    ".globl twin_poll, twin_work, twin_add, twin_end\n"
    "twin_poll:\n"
    "  mov go(%rip), %rax\n"
    "  ret\n"
    "twin_work:\n"
    "  push %rbx\n"
    "  xor %eax, %eax\n"
    "twin_add:\n"
    "  incq count(%rip)\n"
    "  cpuid\n"
    "  pop %rbx\n"
    "  ret\n"
    "twin_end:\n");
/* clang-format on */

static void say(int side, const char *name, const void *address)
{
    printf("rebox-guest: twin.%d.%s=0x%llx\n", side, name, (unsigned long long)(uintptr_t)address);
}

/* Has another process run on this CPU. Not by fork(), after which the first write to `count` would fault. */
static void start_another(void)
{
    char *const nothing[] = { "/bin/true", NULL };
    pid_t child;

    if (posix_spawn(&child, nothing[0], NULL, NULL, nothing, nothing + 1) != 0) {
        perror("posix_spawn");
        exit(1);
    }
    waitpid(child, NULL, 0);
}

static void work(int side, uint64_t rounds)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    /* With one CPU both are on it. */
    CPU_SET(side % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0) {
        perror("sched_setaffinity");
        exit(1);
    }
    /* These pages are the process' own before anybody writes to them from outside. */
    count = 0;
    go = 0;
    say(side, "poll", (const void *)(uintptr_t)twin_poll);
    say(side, "work", (const void *)(uintptr_t)twin_work);
    say(side, "add", twin_add);
    say(side, "end", twin_end);
    say(side, "count", (const void *)&count);
    say(side, "go", (const void *)&go);
    printf("rebox-guest: twin.%d.ready=1\n", side);
    fflush(stdout);
    while (!twin_poll()) {
        usleep(1000);
    }
    for (uint64_t round = 0; round < rounds; round++) {
        twin_work();
        if (round % 100 == 0) {
            start_another();
        }
    }
    printf("rebox-guest: twin.%d.done=%llu\n", side, (unsigned long long)count);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: twin <fork|exec> <rounds> <rounds>\n");
        return 2;
    }
    /* Each line is written at once, so that those of two processes are not mixed. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(argv[1], "second") == 0) {
        work(1, strtoull(argv[3], NULL, 0));
        return 0;
    }
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return 1;
    }
    if (child == 0) {
        if (strcmp(argv[1], "exec") == 0) {
            execl("/bin/twin", "twin", "second", argv[2], argv[3], (char *)NULL);
            perror("execl");
            _exit(1);
        }
        work(1, strtoull(argv[3], NULL, 0));
        exit(0);
    }
    work(0, strtoull(argv[2], NULL, 0));
    waitpid(child, NULL, 0);
    return 0;
}
