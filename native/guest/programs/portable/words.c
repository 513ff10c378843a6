/*
 * Says with which words it was started, as the kernel has them, and then writes over them at once.
 *
 *   words ANYTHING...
 *
 * Prints "rebox-guest: words.<pid>=<program> <command line> <environment>", the latter two as hexadecimal bytes of
 * /proc/self/cmdline and /proc/self/environ.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_bytes(const char *path)
{
    unsigned char bytes[4096];
    ssize_t got;
    int file = open(path, O_RDONLY);

    putchar(' ');
    while ((got = read(file, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            printf("%02x", bytes[i]);
        }
    }
    close(file);
}

int main(int argc, char **argv)
{
    char program[256] = "";

    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
        perror("words");
    }
    printf("rebox-guest: words.%d=%s", getpid(), program);
    print_bytes("/proc/self/cmdline");
    print_bytes("/proc/self/environ");
    printf("\n");
    fflush(stdout);
    for (int i = 0; i < argc; i++) {
        memset(argv[i], 'X', strlen(argv[i]));
    }
    return 0;
}
