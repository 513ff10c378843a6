/*
 * Tells the kernel about a neighbour, as `ip neigh replace` does; busybox cannot.
 *
 *   neighbour INTERFACE ADDRESS MAC permanent|stale|failed
 *
 * With "new" before INTERFACE, it first moves to a network of its own, raises its loopback interface there, and stays when the
 * kernel has been told; it prints "rebox-guest: neighbour.<interface>=<own pid>" then. MAC may be "-".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAC_SIZE = 6 };

static void check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static struct {
    struct nlmsghdr header;
    struct ndmsg neighbour;
    char attributes[64];
} request = {
    .header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)),
                .nlmsg_type = RTM_NEWNEIGH,
                .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE },
};

static void add_attribute(unsigned short type, const void *value, size_t size)
{
    struct rtattr *attribute = (void *)((char *)&request + NLMSG_ALIGN(request.header.nlmsg_len));

    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    memcpy(RTA_DATA(attribute), value, size);
    request.header.nlmsg_len = NLMSG_ALIGN(request.header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

static void raise_interface(const char *name)
{
    struct ifreq interface = { 0 };
    int any = socket(AF_INET, SOCK_DGRAM, 0);

    strncpy(interface.ifr_name, name, IFNAMSIZ - 1);
    check(ioctl(any, SIOCGIFFLAGS, &interface), name);
    interface.ifr_flags |= IFF_UP;
    check(ioctl(any, SIOCSIFFLAGS, &interface), name);
    close(any);
}

int main(int argc, char **argv)
{
    int is_new = argc > 1 && strcmp(argv[1], "new") == 0;
    char **arguments = argv + is_new;
    unsigned char address[16], mac[MAC_SIZE];
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char more[128];
    } answer;
    int family, netlink;

    if (argc - is_new != 5) {
        fprintf(stderr, "usage: neighbour [new] INTERFACE ADDRESS MAC permanent|stale|failed\n");
        return 2;
    }
    if (is_new) {
        check(unshare(CLONE_NEWNET), "unshare");
        raise_interface(arguments[1]);
    }
    family = strchr(arguments[2], ':') == NULL ? AF_INET : AF_INET6;
    request.neighbour.ndm_family = (unsigned char)family;
    request.neighbour.ndm_ifindex = (int)if_nametoindex(arguments[1]);
    request.neighbour.ndm_state = strcmp(arguments[4], "permanent") == 0 ? NUD_PERMANENT
                                  : strcmp(arguments[4], "stale") == 0   ? NUD_STALE
                                                                         : NUD_FAILED;
    if (inet_pton(family, arguments[2], address) != 1) {
        fprintf(stderr, "%s is no address\n", arguments[2]);
        return 2;
    }
    add_attribute(NDA_DST, address, family == AF_INET ? 4 : 16);
    if (sscanf(arguments[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) ==
        MAC_SIZE) {
        add_attribute(NDA_LLADDR, mac, MAC_SIZE);
    }
    netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    check(netlink, "netlink");
    check((int)send(netlink, &request, request.header.nlmsg_len, 0), "send");
    check((int)recv(netlink, &answer, sizeof(answer), 0), "receive");
    if (answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error != 0) {
        fprintf(stderr, "neighbour %s: %s\n", arguments[2], strerror(-answer.error.error));
        return 1;
    }
    if (is_new) {
        printf("rebox-guest: neighbour.%s=%d\n", arguments[1], getpid());
        fflush(stdout);
        for (;;) {
            pause();
        }
    }
    return 0;
}
