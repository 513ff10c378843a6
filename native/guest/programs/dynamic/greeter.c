/*
 * A program with shared libraries: says where its own and its libraries' symbols are, then loads and unloads one more.
 *
 *   greeter stay FILE          prints "rebox-guest: greeter.<symbol>=<address>", creates the file and stays
 *   greeter load TIMES [now]   opens, calls and closes a library; "rebox-act: NUMBER dlopen|dlclose pid=... base=... path=..."
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include "../go.h"

extern int greeting_count;
extern const char greeting_text[];
int greeting_number(void);
void greeting_say(FILE *out);

#define LIBRARY "/lib/libguest.so.1"

static void say(const char *name, const void *address)
{
    printf("rebox-guest: greeter.%s=0x%llx\n", name, (unsigned long long)(uintptr_t)address);
}

static struct link_map *load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        fprintf(stderr, "greeter: %s\n", dlerror());
        exit(1);
    }
    return library;
}

/* Calls what the library is there for. */
static int answer(struct link_map *library)
{
    int (*function)(void) = (int (*)(void))(uintptr_t)dlsym(library, "guest_answer");

    return function == NULL ? 0 : function();
}

/* Static, and left as it is by the compiler: only the full table of symbols knows it. */
__attribute__((noinline, noclone)) static int stay(const char *ready)
{
    struct link_map *library = load();

    say("main_number", dlsym(RTLD_DEFAULT, "greeting_number"));
    say("greeting_say", (void *)(uintptr_t)greeting_say);
    /* Data that the program uses is copied into it: its own address is not the library's. */
    say("greeting_text", dlsym(RTLD_NEXT, "greeting_text"));
    say("printf", dlsym(RTLD_DEFAULT, "printf"));
    say("guest_answer", dlsym(library, "guest_answer"));
    say("libguest", (void *)(uintptr_t)library->l_addr);
    printf("rebox-guest: greeter.pid=%d\n", getpid());
    fflush(stdout);
    close(open(ready, O_WRONLY | O_CREAT, 0600));
    for (;;) {
        pause();
    }
}

int main(int argc, char **argv)
{
    int times = argc > 2 ? atoi(argv[2]) : 0, number = 0;
    unsigned long long *bases;

    if (argc == 3 && strcmp(argv[1], "stay") == 0) {
        return greeting_number() == 1 && greeting_count == 1 ? stay(argv[2]) : 1;
    }
    if (argc < 3 || strcmp(argv[1], "load") != 0 || times < 1 || times > 100000) {
        fprintf(stderr, "usage: greeter stay FILE | greeter load TIMES [now]\n");
        return 2;
    }
    bases = calloc((size_t)times, sizeof(*bases));
    printf("rebox-guest: greeter.pid=%d\n", getpid());
    /* What the loader does for the first time it does now. */
    dlclose(load());
    if (argc == 3) {
        wait_for_go("greeter");
    }
    for (int i = 0; i < times; i++) {
        struct link_map *library = load();

        bases[i] = (unsigned long long)(uintptr_t)library->l_addr;
        if (answer(library) != 42) {
            return 1;
        }
        dlclose(library);
    }
    /* All at the end: nothing but opening and closing happens before. */
    for (int i = 0; i < times; i++) {
        printf("rebox-act: %d dlopen pid=%d base=0x%llx path=%s\n", number++, getpid(), bases[i], LIBRARY);
        printf("rebox-act: %d dlclose pid=%d base=0x%llx path=%s\n", number++, getpid(), bases[i], LIBRARY);
    }
    printf("rebox-guest: greeter.acts=%d\n", number);
    return 0;
}
