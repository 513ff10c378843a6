/*
 * Calls functions of a shared library that it opens, and of the C library, in all ways in which a call can end; libcalled.c writes down
 * what was called. Prints that as "rebox-act: NUMBER begin|end tid=... name=... caller=... values=..." lines.
 *
 *   caller [now]          waits for a sign from outside (see go.h), unless told not to
 *   caller rate COUNT [TURNS]
 *                         calls a small function of the C library so often, with so many turns of an empty loop before each call, and
 *                         prints how long that took
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include "../go.h"

#define LIBRARY "/lib/libcalled.so.1"

static void *library;
static jmp_buf place;
static int (*add)(int, int);
static unsigned (*depth)(unsigned);

static void *find(const char *name)
{
    void *found = dlsym(library, name);

    if (found == NULL) {
        fprintf(stderr, "caller: %s\n", dlerror());
        exit(1);
    }
    return found;
}

static void *end_early(void *value)
{
    ((void (*)(long))find("called_end_thread"))((long)(intptr_t)value);
    return NULL;
}

static void *go_deep(void *value)
{
    for (int i = 0; i < 20; i++) {
        depth((unsigned)(intptr_t)value);
    }
    return NULL;
}

static void in_thread(void *(*what)(void *), long count)
{
    pthread_t threads[2];

    for (long i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, what, (void *)(intptr_t)(i + 2));
    }
    for (long i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

static int measure(long count, long turns)
{
    struct timespec from, to;
    char *(*volatile get)(const char *) = getenv;

    printf("rebox-guest: caller.count=%ld\n", count);
    fflush(stdout);

    clock_gettime(CLOCK_MONOTONIC, &from);
    for (long i = 0; i < count; i++) {
        for (volatile long turn = 0; turn < turns; turn++) {
        }
        get("REBOX_NOTHING");
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("rebox-guest: caller.ns=%lld\n",
           (long long)(to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    size_t (*volatile length)(const char *) = strlen;
    char bytes[16];
    int child;

    if (argc >= 3 && strcmp(argv[1], "rate") == 0) {
        return measure(atol(argv[2]), argc > 3 ? atol(argv[3]) : 0);
    }
    /* The loader has filled in the C library's functions before anybody looks. */
    printf("rebox-guest: caller.length=%zu\n", length("before"));
    printf("rebox-guest: caller.pid=%d\n", getpid());
    fflush(stdout);
    if (argc < 2) {
        wait_for_go("caller");
    }
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "caller: %s\n", dlerror());
        return 1;
    }
    add = (int (*)(int, int))find("called_add");
    depth = (unsigned (*)(unsigned))find("called_depth");
    printf("rebox-guest: caller.add=%d\n", add(20, -22));
    ((long (*)(long, long, long, long, long, long, long, short))find("called_sum"))(1, -2, 3, 4, 5, 6, 7000000, -8);
    ((double (*)(int, double, float))find("called_scale"))(3, 1.5, 0.25F);
    ((const char *(*)(const char *))find("called_text"))("good night");
    ((const char *(*)(const char *))find("called_text"))(NULL);
    ((size_t(*)(char *, size_t, char))find("called_fill"))(bytes, sizeof(bytes), 'x');
    depth(3);
    for (volatile int i = 1; i <= 3; i++) {
        if (setjmp(place) == 0) {
            ((int (*)(jmp_buf *, int))find("called_outer"))(&place, i);
        }
    }
    ((int (*)(int))find("called_tail"))(4);
    in_thread(end_early, 1);
    in_thread(go_deep, 2);
    printf("rebox-guest: caller.length=%zu\n", length("twelve chars"));
    fflush(stdout);
    child = fork();
    if (child == 0) {
        ((void (*)(const char *))find("called_exec"))("/bin/busybox");
        _exit(1);
    }
    waitpid(child, NULL, 0);
    ((void (*)(int))find("called_exit"))(0);
    return 1;
}
