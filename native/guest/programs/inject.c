/*
 * Changes the memory of another process: inject HOW PID
 *
 * HOW is ptrace, writev (process_vm_writev) or mem (/proc/PID/mem). The first byte of the process's stack is written with what is
 * there. "read" only reads it, with process_vm_readv(). Prints "rebox-guest: inject.<how>=<pid>".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The address of the last whole page of the stack: it is in memory. */
static unsigned long find_stack(int pid)
{
    char path[64], line[512];
    unsigned long start, end;
    FILE *maps;

    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    maps = fopen(path, "r");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (strstr(line, "[stack]") != NULL && sscanf(line, "%lx-%lx", &start, &end) == 2) {
            fclose(maps);
            return end - 4096;
        }
    }
    fail(path);
    return 0;
}

static void trace(int pid, void *address)
{
    long word;

    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0 || waitpid(pid, NULL, __WALL) != pid) {
        fail("attach");
    }
    word = ptrace(PTRACE_PEEKDATA, pid, address, NULL);
    if (ptrace(PTRACE_POKEDATA, pid, address, (void *)word) != 0 || ptrace(PTRACE_DETACH, pid, NULL, NULL) != 0) {
        fail("poke");
    }
}

static void write_file(int pid, unsigned long address)
{
    char path[64], byte;
    int file;

    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    file = open(path, O_RDWR);
    if (file < 0 || pread(file, &byte, 1, address) != 1 || pwrite(file, &byte, 1, address) != 1) {
        fail(path);
    }
}

int main(int count, char **words)
{
    int pid = count > 2 ? atoi(words[2]) : 0;
    unsigned long address = find_stack(pid);
    char byte;
    struct iovec own = { &byte, 1 }, other = { (void *)address, 1 };

    if (strcmp(words[1], "ptrace") == 0) {
        trace(pid, (void *)address);
    } else if (strcmp(words[1], "mem") == 0) {
        write_file(pid, address);
    } else if (process_vm_readv(pid, &own, 1, &other, 1, 0) != 1) {
        fail("read");
    } else if (strcmp(words[1], "writev") == 0 && process_vm_writev(pid, &own, 1, &other, 1, 0) != 1) {
        fail("write");
    }
    printf("rebox-guest: inject.%s=%d\n", words[1], pid);
    return 0;
}
