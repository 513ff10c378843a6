/*
 * A shared library whose functions write down themselves when they are called: by whom, by which thread and with which arguments, and
 * what they return. For dlopen.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 4096, LONGEST = 160 };

static char lines[MOST][LONGEST];
static atomic_int used;

/* Each is one line, so that lines of threads do not mix. */
static void note(const char *what, const char *name, const void *caller, const char *format, ...)
{
    int at = atomic_fetch_add(&used, 1);
    int size;
    va_list values;

    if (at >= MOST) {
        return;
    }
    size = snprintf(lines[at], LONGEST, "%s tid=%ld name=%s caller=0x%llx values=", what, (long)syscall(SYS_gettid),
                    name, (unsigned long long)(uintptr_t)caller);
    va_start(values, format);
    vsnprintf(lines[at] + size, (size_t)(LONGEST - size), format, values);
    va_end(values);
}

#define BEGINS(...) note("begin", __func__, __builtin_return_address(0), __VA_ARGS__)
#define ENDS(...) note("end", __func__, __builtin_return_address(0), __VA_ARGS__)

void called_print(void)
{
    int count = atomic_load(&used);

    for (int at = 0; at < count && at < MOST; at++) {
        printf("rebox-act: %d %s\n", at, lines[at]);
    }
    printf("rebox-guest: called.acts=%d\n", count);
    fflush(stdout);
}

int called_add(int one, int other)
{
    BEGINS("%d,%d", one, other);
    ENDS("%d", one + other);
    return one + other;
}

long called_sum(long a, long b, long c, long d, long e, long f, long g, short h)
{
    long sum = a + b + c + d + e + f + g + h;

    BEGINS("%ld,%ld,%ld,%ld,%ld,%ld,%ld,%d", a, b, c, d, e, f, g, h);
    ENDS("%ld", sum);
    return sum;
}

double called_scale(int count, double value, float factor)
{
    BEGINS("%d,%.6f,%.6f", count, value, (double)factor);
    ENDS("%.6f", count * value * (double)factor);
    return count * value * (double)factor;
}

const char *called_text(const char *text)
{
    BEGINS("%s", text == NULL ? "null" : text);
    ENDS("%s", text == NULL ? "nothing" : "something");
    return text == NULL ? "nothing" : "something";
}

size_t called_fill(char *into, size_t size, char with)
{
    BEGINS("%zu,%d", size, with);
    memset(into, with, size);
    ENDS("%zu", size / 2);
    return size / 2;
}

unsigned called_depth(unsigned left)
{
    unsigned below = 0;

    BEGINS("%u", left);
    if (left > 0) {
        below = called_depth(left - 1);
    }
    ENDS("%u", below + 1);
    return below + 1;
}

/* The compiler makes a jump of the call: both return at once. */
int called_tail(int value)
{
    BEGINS("%d", value);
    return called_add(value, 1);
}

void called_jump(jmp_buf *to, int value)
{
    BEGINS("%d", value);
    longjmp(*to, value);
}

int called_outer(jmp_buf *to, int value)
{
    BEGINS("%d", value);
    called_jump(to, value);
    ENDS("%d", value);
    return value;
}

void called_end_thread(long value)
{
    BEGINS("%ld", value);
    /* pthread_exit() would need a library that the guest does not have. */
    syscall(SYS_exit, 0);
}

void called_exit(int status)
{
    BEGINS("%d", status);
    called_print();
    exit(status);
}

void called_exec(const char *path)
{
    BEGINS("%s", path);
    execl(path, path, "true", (char *)NULL);
}
