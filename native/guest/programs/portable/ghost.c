/*
 * A process whose first thread ends while another lives on, with its memory, an open file and a folder of its own.
 *
 *   ghost SECONDS
 *
 * Prints "rebox-guest: ghost.<what>=<value>": pid, tid of the thread that lives on, word (the address of "rebox-ghost-canary"),
 * lives when all stands, and ended when it is about to end.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char word[64];

/* Whether the first thread is a zombie already: the state behind the name in its stat. */
static int has_ended(void)
{
    char path[64], text[256] = "";
    int file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
    file = open(path, O_RDONLY);
    if (file < 0 || read(file, text, sizeof(text) - 1) < 0) {
        return 0;
    }
    close(file);
    return strstr(text, ") Z ") != NULL;
}

static void *live_on(void *seconds)
{
    while (!has_ended()) {
        usleep(1000);
    }
    /* Put together here, so that the program's file does not have it. */
    snprintf(word, sizeof(word), "rebox-%s-canary", "ghost");
    if (open("/tmp/ghost file", O_RDWR | O_CREAT, 0600) < 0) {
        perror("ghost file");
    }
    printf("rebox-guest: ghost.pid=%d\nrebox-guest: ghost.tid=%ld\n", getpid(), syscall(SYS_gettid));
    printf("rebox-guest: ghost.word=%lu\nrebox-guest: ghost.lives=1\n", (unsigned long)word);
    fflush(stdout);
    sleep((unsigned)atoi(seconds));
    printf("rebox-guest: ghost.ended=1\n");
    fflush(stdout);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    if (argc != 2 || pthread_create(&thread, NULL, live_on, argv[1]) != 0) {
        fprintf(stderr, "usage: ghost SECONDS\n");
        return 2;
    }
    pthread_exit(NULL);
}
