/*
 * Keeps words in its memory at places that a search has to get right, none of which is in this program's file, and stays.
 *
 *   keeper NAME MEGABYTES
 *
 * Prints "rebox-guest: keeper.<place>=<address>" for each, then "keeper.<NAME>=<own pid>". The words are "rebox-", the place, and
 * "-canary"; MEGABYTES of numbers fill memory beside them. Then it creates
 * /tmp/NAME-ready. With "brief" as its NAME it ends after a moment.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64 };

static char *map_pages(size_t count)
{
    char *area = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (area == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    /* Large pages would make all of it one piece. */
    madvise(area, count * PAGE, MADV_NOHUGEPAGE);
    return area;
}

/* Writes letter by letter, so that no copy of the word is anywhere else; returns where it ends. */
static char *write_part(char *at, const char *part)
{
    for (; *part != 0; part++) {
        *(volatile char *)at++ = *part;
    }
    return at;
}

static void keep(char *at, const char *place)
{
    const char *parts[] = { "re", "box", "-", place, "-can", "ary" };

    printf("rebox-guest: keeper.%s=0x%lx\n", place, (unsigned long)at);
    for (int i = 0; i < 6; i++) {
        at = write_part(at, parts[i]);
    }
}

int main(int argc, char **argv)
{
    size_t megabytes = argc > 2 ? (size_t)atol(argv[2]) : 0;
    char *area, *bulk, path[64];
    uint64_t number = 88172645463325252ULL;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 3) {
        fprintf(stderr, "usage: keeper NAME MEGABYTES\n");
        return 2;
    }
    prctl(PR_SET_NAME, argv[1], 0, 0, 0);
    area = map_pages(PAGES);
    /* Every second page first: neighbours in this memory are no neighbours in that of the machine. */
    for (int page = 0; page < PAGES; page += 2) {
        area[page * PAGE] = 1;
    }
    for (int page = PAGES - 1; page > 0; page -= 2) {
        area[page * PAGE] = 1;
    }
    keep(area + PAGE + 100, "within");
    keep(area + 4 * PAGE - 9, "across");
    keep(area + 8 * PAGE, "first");
    keep(area + 16 * PAGE + 50, "hidden");
    mprotect(area + 16 * PAGE, PAGE, PROT_NONE);
    /* Half of a word on each side of a hole is no word. */
    write_part(write_part(area + 21 * PAGE - 9, "rebox"), "-hol");
    write_part(write_part(area + 22 * PAGE, "ed-"), "canary");
    madvise(area + 21 * PAGE, PAGE, MADV_DONTNEED);
    /* Nobody has touched these: there is nothing behind them. */
    map_pages(16);
    bulk = map_pages(megabytes * 256 + 1);
    for (size_t at = 0; at < megabytes << 20; at += sizeof(number)) {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        memcpy(bulk + at, &number, sizeof(number));
    }
    printf("rebox-guest: keeper.%s=%d\n", argv[1], getpid());
    snprintf(path, sizeof(path), "/tmp/%s-ready", argv[1]);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    if (strcmp(argv[1], "brief") == 0) {
        usleep(300000);
        return 0;
    }
    for (;;) {
        pause();
    }
}
