/*
 * Comes to one function by ways that are hard to follow back, and says each time what the compiler's own unwinder finds there:
 * "rebox-guest: stacks.NAME=ADDRESS,ADDRESS,..." of the callers of take(), the nearest first. stacks_look(NAME) is called in between,
 * for those who look from outside.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

enum { MOST = 64, STACK = 65536 };

struct list {
    uintptr_t places[MOST];
    int count;
};

static _Unwind_Reason_Code note(struct _Unwind_Context *context, void *given)
{
    struct list *list = given;

    if (list->count < MOST) {
        list->places[list->count++] = (uintptr_t)_Unwind_GetIP(context);
    }
    return _URC_NO_REASON;
}

/* The name is all that it takes: who looks from outside reads it. */
__attribute__((noinline, noclone)) void stacks_look(const char *name)
{
    __asm__ volatile("" : : "r"(name) : "memory");
}

__attribute__((noinline, noclone)) void take(const char *name)
{
    struct list list = { .count = 0 };
    char line[MOST * 20 + 64];
    int size;

    stacks_look(name);
    _Unwind_Backtrace(note, &list);
    size = snprintf(line, sizeof(line), "rebox-guest: stacks.%s=", name);
    /* The first is this function itself. */
    for (int at = 1; at < list.count; at++) {
        size += snprintf(line + size, sizeof(line) - (size_t)size, "%s0x%llx", at > 1 ? "," : "",
                         (unsigned long long)list.places[at]);
    }
    printf("%s\n", line);
    fflush(stdout);
}

#define APART __attribute__((noinline, noclone))

APART int plain(const char *name, int left)
{
    int values[4] = { left, left + 1, left + 2, left + 3 };

    if (left > 0) {
        return plain(name, left - 1) + values[left & 3];
    }
    take(name);
    return values[0] + values[3];
}

/* The frame's size is known at run time only. */
APART int variable(const char *name, size_t size)
{
    char text[size];

    memset(text, 'x', size);
    take(name);
    return text[size / 2];
}

/* The stack pointer is aligned anew, so that the frame is found by what was kept of it. */
APART int aligned(const char *name, int value)
{
    __attribute__((aligned(128))) volatile int values[32];

    values[value & 31] = value;
    take(name);
    return values[value & 31];
}

/* Many parameters: some are pushed, and taken off again. */
APART int many(const char *name, int a, int b, int c, int d, int e, int f, int g, int h, int i)
{
    take(name);
    return a + b + c + d + e + f + g + h + i;
}

APART int compare(const void *one, const void *other)
{
    static int is_done;

    if (!is_done) {
        is_done = 1;
        take("callback");
    }
    return *(const int *)one - *(const int *)other;
}

static const char *signalled;

APART void on_signal(int number)
{
    (void)number;
    plain(signalled, 1);
}

APART void by_signal(const char *name, int flags)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    sigaction(SIGUSR1, &action, NULL);
    signalled = name;
    raise(SIGUSR1);
}

static void *in_thread(void *given)
{
    plain(given, 2);
    return NULL;
}

/* Nothing follows the call: its return address is that of the next function. */
__attribute__((noinline, noclone, noreturn)) void last(void)
{
    take("last");
    _exit(0);
}

__attribute__((noinline, noclone, noreturn)) void before_last(void)
{
    last();
}

int main(void)
{
    static char other_stack[STACK];
    stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };
    int numbers[] = { 3, 1, 2 };
    volatile int value = 5;
    pthread_t thread;

    printf("rebox-guest: stacks.pid=%d\n", getpid());
    plain("plain", 3);
    variable("variable", (size_t)value * 100);
    aligned("aligned", value);
    many("many", value, 1, 2, 3, 4, 5, 6, 7, 8);
    qsort(numbers, 3, sizeof(*numbers), compare);
    by_signal("signal", 0);
    sigaltstack(&stack, NULL);
    by_signal("other_stack", SA_ONSTACK);
    pthread_create(&thread, NULL, in_thread, "thread");
    pthread_join(thread, NULL);
    before_last();
}
