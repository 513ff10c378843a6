/* Fills one locked page with a 64-bit pattern, prints where it is, writes a copy to a file, and waits to be killed. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Returns the guest-physical address of a page of this process; only root may ask. */
static uint64_t physical_address(const void *page)
{
    uint64_t entry;
    int pagemap = open("/proc/self/pagemap", O_RDONLY);
    off_t offset = (off_t)((uintptr_t)page / PAGE * sizeof(entry));

    if (pagemap < 0 || pread(pagemap, &entry, sizeof(entry), offset) != sizeof(entry)) {
        fail("/proc/self/pagemap");
    }
    close(pagemap);
    if (!(entry >> 63)) {
        fail("page not present");
    }
    return (entry & ((1ULL << 55) - 1)) * PAGE;
}

/* Writes the page under a temporary name first: the file's appearance means that it is complete. */
static void write_copy(const char *path, const void *page)
{
    char temporary[256];
    int file;

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    file = open(temporary, O_WRONLY | O_CREAT, 0600);
    if (file < 0 || write(file, page, PAGE) != PAGE || close(file) < 0 || rename(temporary, path) < 0) {
        fail(path);
    }
}

int main(int argc, char **argv)
{
    uint64_t value;
    uint64_t *page;

    if (argc != 3) {
        fprintf(stderr, "usage: pattern <64-bit value> <file for a copy of the page>\n");
        return 2;
    }
    value = strtoull(argv[1], NULL, 0);
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || mlock(page, PAGE) < 0) {
        fail("page");
    }
    for (size_t i = 0; i < PAGE / sizeof(value); i++) {
        page[i] = value;
    }
    printf("rebox-guest: pattern.value=0x%016llx\n", (unsigned long long)value);
    printf("rebox-guest: pattern.pid=%d\n", getpid());
    printf("rebox-guest: pattern.virtual=0x%llx\n", (unsigned long long)(uintptr_t)page);
    printf("rebox-guest: pattern.physical=0x%llx\n", (unsigned long long)physical_address(page));
    fflush(stdout);
    write_copy(argv[2], page);
    for (;;) {
        pause();
    }
}
