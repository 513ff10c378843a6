/*
 * Waits for a sign from outside, so that nothing happens before whoever watches is ready.
 *
 * Prints "rebox-guest: NAME.go=<address>" and "NAME.poll=<address>", then calls the function at NAME.poll until the 32-bit
 * variable at NAME.go is not 0. Whoever hooks that function can write the variable in the process that runs.
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static volatile uint32_t go;

static __attribute__((noinline, noclone)) uint32_t go_poll(void)
{
    return go;
}

static void wait_for_go(const char *name)
{
    /*
     * Written, the page is this process' own: until then it may be the kernel's page of zeros. Before anybody is told of it: whoever
     * is quick may have written its sign already when this goes on.
     */
    go = 0;
    printf("rebox-guest: %s.go=0x%llx\n", name, (unsigned long long)(uintptr_t)&go);
    printf("rebox-guest: %s.poll=0x%llx\n", name, (unsigned long long)(uintptr_t)go_poll);
    printf("rebox-guest: %s.waits=%d\n", name, getpid());
    fflush(stdout);
    while (go_poll() == 0) {
        usleep(5000);
    }
}
