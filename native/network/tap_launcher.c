/*
 * Executes a program with a tap device of another process' network namespace:
 *
 *   tap_launcher HOLDER DEVICE DESCRIPTOR PROGRAM [ARGUMENTS...]
 *
 * The program runs in the namespaces of the caller, and has the device as an open descriptor. A process cannot come
 * back from a user namespace, so a child enters those of HOLDER, opens the device there and sends the descriptor
 * (unix(7), SCM_RIGHTS). The device has to exist. Exit status 125: the device cannot be opened, with the reason on
 * standard error; 127: the program cannot be executed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_DEVICE 125
#define NO_PROGRAM 127

static void fail(int status, const char *format, ...)
{
    int reason = errno;
    va_list values;
    va_start(values, format);
    fprintf(stderr, "tap_launcher: ");
    vfprintf(stderr, format, values);
    fprintf(stderr, ": %s\n", strerror(reason));
    va_end(values);
    exit(status);
}

static int open_namespace(const char *holder, const char *kind)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/%s", holder, kind);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        fail(NO_DEVICE, "%s cannot be opened", path);
    return descriptor;
}

/* A process may not enter the user namespace that it is in (setns(2)). */
static int is_own(int namespace, const char *kind)
{
    char path[64];
    struct stat own, other;
    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    if (stat(path, &own) != 0 || fstat(namespace, &other) != 0)
        fail(NO_DEVICE, "a namespace cannot be examined");
    return own.st_ino == other.st_ino;
}

static int open_tap(const char *holder, const char *device)
{
    int user = open_namespace(holder, "user");
    int net = open_namespace(holder, "net");
    if (!is_own(user, "user") && setns(user, CLONE_NEWUSER) != 0)
        fail(NO_DEVICE, "its user namespace cannot be entered");
    if (setns(net, CLONE_NEWNET) != 0)
        fail(NO_DEVICE, "its network namespace cannot be entered");
    int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (tap < 0)
        fail(NO_DEVICE, "/dev/net/tun cannot be opened");
    struct ifreq request;
    memset(&request, 0, sizeof request);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    if (ioctl(tap, TUNSETIFF, &request) != 0)
        fail(NO_DEVICE, "the device %s cannot be opened", device);
    return tap;
}

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr head;
};

static void send_descriptor(int channel, int descriptor)
{
    char byte = 0;
    union control control;
    struct iovec data = { &byte, 1 };
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    if (sendmsg(channel, &message, 0) != 1)
        fail(NO_DEVICE, "the device cannot be handed over");
}

static int receive_descriptor(int channel)
{
    char byte;
    union control control;
    struct iovec data = { &byte, 1 };
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    /* Nothing comes when the child has failed; it has said why. */
    if (recvmsg(channel, &message, 0) != 1)
        return -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head == NULL || head->cmsg_type != SCM_RIGHTS)
        return -1;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(head), sizeof descriptor);
    return descriptor;
}

int main(int count, char **arguments)
{
    if (count < 5) {
        fprintf(stderr, "usage: tap_launcher HOLDER DEVICE DESCRIPTOR PROGRAM [ARGUMENTS...]\n");
        return NO_DEVICE;
    }
    int wanted = atoi(arguments[3]);
    int channel[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0)
        fail(NO_DEVICE, "no channel");
    pid_t child = fork();
    if (child < 0)
        fail(NO_DEVICE, "no process");
    if (child == 0) {
        send_descriptor(channel[1], open_tap(arguments[1], arguments[2]));
        _exit(0);
    }
    close(channel[1]);
    int tap = receive_descriptor(channel[0]);
    close(channel[0]);
    waitpid(child, NULL, 0);
    if (tap < 0)
        return NO_DEVICE;
    /* dup2() of a descriptor to itself would leave it as it is. */
    if (tap != wanted) {
        if (dup2(tap, wanted) < 0)
            fail(NO_DEVICE, "no descriptor %d", wanted);
        close(tap);
    }
    if (fcntl(wanted, F_SETFD, 0) != 0)
        fail(NO_DEVICE, "the device cannot be kept open");
    execvp(arguments[4], arguments + 4);
    fail(NO_PROGRAM, "%s cannot be executed", arguments[4]);
}
