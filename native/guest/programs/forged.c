/*
 * Asks the kernel what it runs on, and says the answers: "rebox-guest: forged.NAME=ANSWER". Times are
 * in milliseconds, of a sleep of 300.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static long long now_ms(int by_call)
{
    struct timespec now;

    if (by_call) {
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    } else {
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Says whether the processor tells of a hypervisor, and of which: the name has 12 letters, in three registers. */
static void tell_hypervisor(void)
{
    unsigned int eax, registers[4] = { 0 }, features = 0, unused;

    __cpuid(1, eax, unused, features, unused);
    __cpuid(0x40000000, eax, registers[0], registers[1], registers[2]);
    printf("rebox-guest: forged.hypervisor=%u\n", features >> 31);
    printf("rebox-guest: forged.hypervisor_name=%s\n", (const char *)registers);
}

int main(void)
{
    struct utsname names;
    struct sysinfo facts;
    long long start[2], end[2];
    /* By another path than the one that is asked for. */
    int file = chdir("/etc") == 0 ? open("forged", O_CREAT | O_WRONLY, 0600) : -1;

    if (file >= 0) {
        close(file);
    }
    file = open("/etc/forged", O_RDONLY);
    printf("rebox-guest: forged.open=%d\n", file < 0 ? -errno : 0);
    uname(&names);
    printf("rebox-guest: forged.name=%s\n", names.nodename);
    printf("rebox-guest: forged.release=%s\n", names.release);
    sysinfo(&facts);
    printf("rebox-guest: forged.uptime=%ld\n", facts.uptime);
    start[0] = now_ms(0);
    start[1] = now_ms(1);
    usleep(300000);
    end[0] = now_ms(0);
    end[1] = now_ms(1);
    printf("rebox-guest: forged.vdso_ms=%lld\n", end[0] - start[0]);
    printf("rebox-guest: forged.call_ms=%lld\n", end[1] - start[1]);
    tell_hypervisor();
    return 0;
}
