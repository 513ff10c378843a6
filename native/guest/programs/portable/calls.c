/*
 * Makes system calls whose arguments it knows, and says before each what a trace of it has to show.
 *
 *   calls TIMES
 *
 * "rebox-act: NUMBER call BITS name(parameter=value, ...)", with the parameters' names and types of the kernel's source. Most
 * calls fail, which is of no matter: the kernel is entered. A program of 64 bits makes those of 32 bits too, by int 0x80.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NO_FILE = 990, PAGE = 4096 };

static unsigned int acts;

static void say(int bits, const char *format, ...)
{
    va_list values;

    printf("rebox-act: %u call %d ", acts++, bits);
    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    printf("\n");
    fflush(stdout);
}

/* A text that begins on one page and ends on the next. */
static char *across_pages(const char *text)
{
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *start = pages + PAGE - 4;

    if (pages == MAP_FAILED) {
        exit(1);
    }
    return strcpy(start, text);
}

static void make_calls(int time)
{
    const int bits = 8 * (int)sizeof(long);
    char path[64], target[64];
    char *const arguments[] = { "first", "with \"quotes\"", "\033[31m", NULL };
    char *const environment[] = { NULL };

    snprintf(path, sizeof(path), "/tmp/no such file %d", time);
    snprintf(target, sizeof(target), "/nowhere/%d/else", 7 * time);
    say(bits, "openat(dfd=-100, filename=\"%s\", flags=0x%x, mode=0640)", path, O_WRONLY | O_DIRECTORY);
    syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_DIRECTORY, 0640);
    say(bits, "linkat(olddfd=%d, oldname=\"%s\", newdfd=%d, newname=\"%s\", flags=0x400)", -time - 1, path, NO_FILE,
        target);
    syscall(SYS_linkat, -time - 1, path, NO_FILE, target, 0x400);
    say(bits, "fchownat(dfd=%d, filename=\"\", user=4294967295, group=%d, flag=0x1000)", NO_FILE + time, 100 + time);
    syscall(SYS_fchownat, NO_FILE + time, "", -1, 100 + time, 0x1000);
    say(bits, "write(fd=%d, buf=\"a\\\\b\\n\\x00c\\xff\", count=7)", NO_FILE);
    syscall(SYS_write, NO_FILE, "a\\b\n\0c\377", 7);
    say(bits, "truncate(path=\"across the pages\", length=%d)", 3 - time);
    syscall(SYS_truncate, across_pages("across the pages"), (long)(3 - time));
    say(bits, "chdir(filename=NULL)");
    syscall(SYS_chdir, NULL);
    say(bits, "chdir(filename=0x10)");
    syscall(SYS_chdir, 0x10);
    say(bits, "execve(filename=\"%s\", argv=[\"first\", \"with \\\"quotes\\\"\", \"\\x1b[31m\"], envp=[])", target);
    syscall(SYS_execve, target, arguments, environment);
}

#if defined(__x86_64__)
static long call_32(uint32_t number, uint32_t first, uint32_t second, uint32_t third)
{
    long result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(first), "c"(second), "d"(third)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

/* Numbers of arch/x86/entry/syscalls/syscall_32.tbl; what they point to lies below 4 GiB. */
static void make_calls_32(int time)
{
    char *low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

    if (low == MAP_FAILED) {
        exit(1);
    }
    snprintf(low, PAGE, "/tmp/of 32 bits %d", time);
    say(32, "mkdir(pathname=\"%s/none\", mode=0751)", low);
    strcat(low, "/none");
    call_32(39, (uint32_t)(uintptr_t)low, 0751, 0);
    say(32, "lseek(fd=%d, offset=%d, whence=2)", NO_FILE, -5 - time);
    call_32(19, NO_FILE, (uint32_t)(-5 - time), 2);
    munmap(low, PAGE);
}
#else
static void make_calls_32(int time)
{
    (void)time;
}
#endif

int main(int argc, char **argv)
{
    int times = argc > 1 ? atoi(argv[1]) : 1;

    printf("rebox-guest: calls.pid=%d\n", getpid());
    for (int time = 0; time < times; time++) {
        make_calls(time);
        make_calls_32(time);
    }
    return 0;
}
