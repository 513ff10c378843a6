/*
 * Changes another process, a child of its own, in every way that Linux has; says of each "rebox-act: NUMBER LINE", in the words of
 * scripts/injections.ts, and what the child then has in its memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 32, LONGEST = 256 };

static char lines[MOST][LONGEST];
static int used;
static char place[256] __attribute__((aligned(16)));

static void note(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vsnprintf(lines[used++], LONGEST, format, values);
    va_end(values);
}

static void check(int fine, const char *what)
{
    if (!fine) {
        perror(what);
        exit(1);
    }
}

/* In the child: goes on here when its registers were set, and says what was written. */
static void __attribute__((noinline)) landed(void)
{
    _exit(strcmp(place, "by words, by a vector, by a file") == 0 ? 42 : 41);
}

static void change(int child)
{
    static const char words[] = "by words, by a v", vector[] = "ector, by a file";
    char path[64];
    struct user_regs_struct registers;
    struct iovec own[2], other[1];
    int file;

    check(ptrace(PTRACE_ATTACH, child, NULL, NULL) == 0 && waitpid(child, NULL, __WALL) == child, "attach");
    note("attaches to");
    for (int at = 0; at < 16; at += 8) {
        long word;

        memcpy(&word, words + at, 8);
        check(ptrace(PTRACE_POKEDATA, child, place + at, word) == 0, "poke");
    }
    note("writes 16 bytes at %p by ptrace: \"%s\"", (void *)place, words);
    own[0] = (struct iovec){ (void *)vector, 3 };
    own[1] = (struct iovec){ (void *)(vector + 3), 5 };
    other[0] = (struct iovec){ place + 16, 8 };
    check(process_vm_writev(child, own, 2, other, 1, 0) == 8, "writev");
    note("writes 8 bytes at %p by process_vm_writev: \"%.8s\"", (void *)(place + 16), vector);
    snprintf(path, sizeof(path), "/proc/%d/mem", child);
    file = open(path, O_RDWR);
    check(file >= 0 && pwrite(file, vector + 8, 9, (uintptr_t)place + 24) == 9, path);
    close(file);
    note("writes 9 bytes at %p by /proc/PID/mem: \"%s\\x00\"", (void *)(place + 24), vector + 8);
    check(ptrace(PTRACE_GETREGS, child, NULL, &registers) == 0, "getregs");
    registers.rip = (uintptr_t)landed;
    /* As behind a call: the stack is 16 bytes aligned before it. */
    registers.rsp = (registers.rsp - 1024) / 16 * 16 - 8;
    registers.orig_rax = -1;
    check(ptrace(PTRACE_SETREGS, child, NULL, &registers) == 0, "setregs");
    note("sets registers to %p and %p", (void *)landed, (void *)(uintptr_t)registers.rsp);
    check(ptrace(PTRACE_DETACH, child, NULL, NULL) == 0, "detach");
}

int main(void)
{
    int shared = syscall(SYS_memfd_create, "section", 0), status = 0, child, fields[2];
    char *memory;

    check(shared >= 0 && ftruncate(shared, 4096) == 0 && pipe(fields) == 0, "memfd");
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    check(memory != MAP_FAILED, "mmap");
    strcpy(memory, "shared words");
    child = fork();
    if (child == 0) {
        char *own = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, shared, 0);

        check(write(fields[1], &own, sizeof(own)) == sizeof(own), "write");
        for (;;) {
            pause();
        }
    }
    check(read(fields[0], &memory, sizeof(memory)) == sizeof(memory), "read");
    note("shares memory at %p", (void *)memory);
    change(child);
    check(waitpid(child, &status, __WALL) == child, "wait");
    printf("rebox-guest: injector.pid=%d\n", getpid());
    printf("rebox-guest: injector.child=%d\n", child);
    for (int at = 0; at < used; at++) {
        printf("rebox-act: %d %s\n", at, lines[at]);
    }
    printf("rebox-guest: injector.status=%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}
