/*
 * Executes a known sequence of instructions once somebody outside sets the variable `go`.
 *
 * What the sequence does, counted by hand, is what tests compare with: see exact.test.ts.
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { PAGE = 4096 };

uint8_t buffer[2 * PAGE] __attribute__((aligned(PAGE)));
volatile uint64_t go;

void exact_sequence(void);
extern const char exact_begin[], exact_end[], exact_loop[], exact_function[], exact_target[], exact_poll[];

/* clang-format off */
__asm__(
    ".text\n"
    ".globl exact_sequence\n"
    "exact_sequence:\n"
    "  push %rbx\n"
    "  lea buffer(%rip), %rdx\n"
    "  mov %rdx, %r8\n"
    "  jmp exact_begin\n"
    ".globl exact_begin, exact_loop, exact_end, exact_function, exact_target\n"
    "exact_begin:\n"
    "  nop\n  nop\n  nop\n  nop\n  nop\n  nop\n  nop\n  nop\n  nop\n  nop\n"
    "  mov $100, %ecx\n"
    "exact_loop:\n"
    "  dec %ecx\n"
    "  jnz exact_loop\n"
    "  movb $0x5a, (%r8)\n"
    "  movw $0x1234, 2(%r8)\n"
    "  movl $0x89abcdef, 4(%r8)\n"
    "  movq $0x7edcba98, 8(%r8)\n"
    "  movzbl (%r8), %eax\n"
    "  movzwl 2(%r8), %eax\n"
    "  mov 4(%r8), %eax\n"
    "  mov 8(%r8), %rax\n"
    "  movabs $0x1122334455667788, %rax\n"
    "  mov %rax, 4092(%r8)\n"
    "  mov 4092(%r8), %rsi\n"
    "  lock addl $1, 16(%r8)\n"
    "  push %rsi\n"
    "  pop %rsi\n"
    "  lea 32(%r8), %rdi\n"
    "  mov $0xa5, %eax\n"
    "  mov $7, %ecx\n"
    "  rep stosb\n"
    "  call exact_function\n"
    "  lea exact_target(%rip), %rax\n"
    "  jmp *%rax\n"
    "  ud2\n"
    "exact_target:\n"
    "  xor %eax, %eax\n"
    "  cpuid\n"
    "  xor %eax, %eax\n"
    "  cpuid\n"
    "  mov $110, %eax\n"
    "  syscall\n"
    "exact_end:\n"
    "  nop\n"
    "  pop %rbx\n"
    "  ret\n"
    "exact_function:\n"
    "  ret\n"
    ".globl exact_poll\n"
    "exact_poll:\n"
    "  mov go(%rip), %rax\n"
    "  ret\n");
/* clang-format on */

static void say(const char *name, const void *address)
{
    printf("rebox-guest: exact.%s=0x%llx\n", name, (unsigned long long)(uintptr_t)address);
}

int main(void)
{
    /* These pages are there before anything is counted, or written from outside. */
    buffer[0] = buffer[PAGE] = 1;
    go = 0;
    say("begin", exact_begin);
    say("loop", exact_loop);
    say("function", exact_function);
    say("target", exact_target);
    say("end", exact_end);
    say("poll", exact_poll);
    say("buffer", buffer);
    say("go", (const void *)&go);
    printf("rebox-guest: exact.ready=1\n");
    fflush(stdout);
    while (!((uint64_t(*)(void))exact_poll)()) {
        usleep(10000);
    }
    exact_sequence();
    printf("rebox-guest: exact.first=%u\n", buffer[0]);
    printf("rebox-guest: exact.added=%u\n", *(uint32_t *)(buffer + 16));
    printf("rebox-guest: exact.ppid=%d\n", getppid());
    printf("rebox-guest: exact.done=1\n");
    fflush(stdout);
    return 0;
}
