/*
 * Tells QEMU's debug console what the kernel says about itself, in the kernel's own words.
 *
 *   report FILE...          the files' contents
 *   report --processes ...  then every process below /proc
 *   report --stay KEY ...   then prints "rebox-guest: KEY=<own pid>" and stays, so that all that was reported still holds
 *
 * The debug console (-debugcon, port 0xe9) needs no driver and no module, and takes megabytes in a second; a serial port of
 * the guest is slower. A file is "rebox-file: SIZE PATH", a line end and its content; a link is the same with what it says
 * as its content, and rebox-link.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <unistd.h>

enum { PORT = 0xe9, CHUNK = 65536 };

static char *content;
static size_t room;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void send_bytes(const char *bytes, unsigned long count)
{
    __asm__ volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(PORT) : "memory");
}

static void send_entry(const char *kind, const char *path, size_t size)
{
    char header[512];

    snprintf(header, sizeof(header), "rebox-%s: %zu %.400s\n", kind, size, path);
    send_bytes(header, strlen(header));
    send_bytes(content, size);
}

/* Reads all of it first: a file below /proc has no size before it is read. What cannot be read is left out. */
static void report_file(const char *path)
{
    int file = open(path, O_RDONLY);
    size_t size = 0;
    ssize_t got;

    if (file < 0) {
        return;
    }
    for (;;) {
        if (room - size < CHUNK) {
            room = 2 * room + CHUNK;
            content = realloc(content, room);
            if (content == NULL) {
                fail("report: realloc");
            }
        }
        got = read(file, content + size, CHUNK);
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
    }
    close(file);
    if (got == 0) {
        send_entry("file", path, size);
    }
}

static void report_link(const char *path)
{
    ssize_t size;

    if (room < CHUNK) {
        room = CHUNK;
        content = realloc(content, room);
        if (content == NULL) {
            fail("report: realloc");
        }
    }
    size = readlink(path, content, room);
    if (size >= 0) {
        send_entry("link", path, (size_t)size);
    }
}

/* Calls a function for each number that is a name in a directory. */
static void each_number(const char *path, void (*report)(const char *))
{
    char below[512];
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (directory == NULL) {
        return;
    }
    while ((entry = readdir(directory)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            snprintf(below, sizeof(below), "%.200s/%.200s", path, entry->d_name);
            report(below);
        }
    }
    closedir(directory);
}

static void report_below(const char *path, const char *name, void (*report)(const char *))
{
    char below[512];

    snprintf(below, sizeof(below), "%.200s/%.200s", path, name);
    report(below);
}

static void report_descriptors(const char *path)
{
    each_number(path, report_link);
}

static void report_descriptor_facts(const char *path)
{
    each_number(path, report_file);
}

/* A thread, with what its process has no more once the first thread has ended. */
static void report_thread(const char *path)
{
    report_below(path, "stat", report_file);
    report_below(path, "comm", report_file);
    report_below(path, "cmdline", report_file);
    report_below(path, "environ", report_file);
    report_below(path, "maps", report_file);
    report_below(path, "exe", report_link);
    report_below(path, "cwd", report_link);
    report_below(path, "root", report_link);
    report_below(path, "fd", report_descriptors);
    report_below(path, "fdinfo", report_descriptor_facts);
}

static void report_threads(const char *path)
{
    each_number(path, report_thread);
}

/* What a process' network has that is not this program's own. */
static void report_network(const char *path)
{
    static const char *const FILES[] = { "net/tcp",  "net/tcp6",   "net/udp",     "net/udp6", "net/unix",     "net/raw",
                                         "net/raw6", "net/packet", "net/netlink", "net/arp",  "net/if_inet6", NULL };
    char link[512], own[64] = "", its[64] = "";

    snprintf(link, sizeof(link), "%.200s/ns/net", path);
    if (readlink("/proc/self/ns/net", own, sizeof(own) - 1) < 0 || readlink(link, its, sizeof(its) - 1) < 0 ||
        strcmp(own, its) == 0) {
        return;
    }
    for (int i = 0; FILES[i] != NULL; i++) {
        report_below(path, FILES[i], report_file);
    }
}

static void report_process(const char *path)
{
    static const char *const FILES[] = { "stat",    "status",    "comm",  "cmdline", "maps",
                                         "environ", "mountinfo", "stack", NULL };
    static const char *const LINKS[] = { "exe", "cwd", "root", "ns/pid", "ns/mnt", "ns/net", NULL };

    for (int i = 0; FILES[i] != NULL; i++) {
        report_below(path, FILES[i], report_file);
    }
    for (int i = 0; LINKS[i] != NULL; i++) {
        report_below(path, LINKS[i], report_link);
    }
    report_network(path);
    report_below(path, "task", report_threads);
    report_below(path, "fd", report_descriptors);
    report_below(path, "fdinfo", report_descriptor_facts);
}

int main(int argc, char **argv)
{
    const char *stay = NULL;
    int processes = 0;

    if (ioperm(PORT, 1, 1) != 0) {
        fail("report: ioperm");
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--processes") == 0) {
            processes = 1;
        } else if (strcmp(argv[i], "--stay") == 0 && i + 1 < argc) {
            stay = argv[++i];
        } else {
            report_file(argv[i]);
        }
    }
    if (processes) {
        each_number("/proc", report_process);
    }
    if (stay != NULL) {
        printf("rebox-guest: %s=%d\n", stay, getpid());
        fflush(stdout);
        for (;;) {
            pause();
        }
    }
    return 0;
}
