/*
 * Starts one process of each kind that a process list has to get right, and stays as the parent of them all.
 *
 *   zoo FILE
 *
 * Prints "rebox-guest: zoo.<what>=<pid>" for each, and when all stand still "zoo.ready=<own pid>"; then creates the file.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, THREADS = 5 };

static int ready[2];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void check(int result, const char *what)
{
    if (result < 0) {
        fail(what);
    }
}

/* Says that this process is as it shall be, and stays. */
static void hold(void)
{
    check((int)write(ready[1], "r", 1), "ready");
    for (;;) {
        pause();
    }
}

static void name_process(const char *name)
{
    check(prctl(PR_SET_NAME, name, 0, 0, 0), "name");
}

/* Starts a process that runs a function which ends in hold(), and waits until it holds. */
static pid_t start(const char *what, void (*run)(const char *), const char *argument)
{
    char byte;
    pid_t pid = fork();

    check(pid, "fork");
    if (pid == 0) {
        run(argument);
        _exit(0);
    }
    if (read(ready[0], &byte, 1) != 1) {
        fail(what);
    }
    printf("rebox-guest: zoo.%s=%d\n", what, pid);
    return pid;
}

static void be_named(const char *name)
{
    name_process(name);
    hold();
}

static void *be_thread(void *argument)
{
    char name[16];

    snprintf(name, sizeof(name), "thread %d", (int)(intptr_t)argument);
    name_process(name);
    check((int)write(ready[1], "t", 1), "ready");
    while (pause() < 0) {
    }
    return NULL;
}

static void start_threads(void)
{
    pthread_t thread;
    char byte;

    for (int i = 1; i <= THREADS; i++) {
        if (pthread_create(&thread, NULL, be_thread, (void *)(intptr_t)i) != 0 || read(ready[0], &byte, 1) != 1) {
            fail("thread");
        }
    }
}

static void be_threaded(const char *name)
{
    name_process(name);
    start_threads();
    hold();
}

/* The first thread ends before the others: the process goes on without the task that gave it its number. */
static void be_leaderless(const char *name)
{
    name_process(name);
    check(open("/tmp/leaderless file", O_RDWR | O_CREAT | O_TRUNC, 0600), "leaderless file");
    start_threads();
    check((int)write(ready[1], "r", 1), "ready");
    pthread_exit(NULL);
}

static void be_daemon(const char *name)
{
    char pid[64];

    if (fork() != 0) {
        _exit(0);
    }
    setsid();
    if (fork() != 0) {
        _exit(0);
    }
    name_process(name);
    /* Its parent is gone now: only itself can tell its number. */
    while (getppid() != 1) {
        usleep(1000);
    }
    snprintf(pid, sizeof(pid), "rebox-guest: zoo.daemon=%d\n", getpid());
    check((int)write(1, pid, strlen(pid)), "daemon");
    hold();
}

static void be_zombie(const char *name)
{
    name_process(name);
    check((int)write(ready[1], "r", 1), "ready");
}

static void be_namespaced(const char *name)
{
    char byte;
    pid_t pid;

    name_process("outside");
    check(unshare(CLONE_NEWPID), "unshare");
    pid = fork();
    check(pid, "fork");
    if (pid == 0) {
        name_process(name);
        hold();
    }
    if (read(ready[0], &byte, 1) != 1) {
        fail("namespace");
    }
    printf("rebox-guest: zoo.inside=%d\n", pid);
    fflush(stdout);
    hold();
}

static void be_user(const char *name)
{
    const gid_t groups[] = { 7, 1002 };

    name_process(name);
    if (setgroups(2, groups) != 0 || setresgid(1001, 1002, 1003) != 0 || setresuid(1000, 1004, 1005) != 0) {
        fail("user");
    }
    hold();
}

static void copy_program(const char *copy)
{
    int in = open("/proc/self/exe", O_RDONLY);
    int out = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    char buffer[PAGE];
    ssize_t got;

    check(in, "own program");
    check(out, copy);
    while ((got = read(in, buffer, sizeof(buffer))) > 0) {
        check((int)write(out, buffer, (size_t)got), copy);
    }
    close(in);
    close(out);
}

/* A copy of this program that is removed while it runs. */
static void be_deleted(const char *name)
{
    char copy[] = "/tmp/deleted program";
    char number[16];

    copy_program(copy);
    snprintf(number, sizeof(number), "%d", ready[1]);
    execl(copy, name, "--hold", number, "", "two\nlines", "\033[31mred", "%s%n", NULL);
    fail(copy);
}

static void make_file(const char *folder, const char *name)
{
    char path[256];
    int file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    check(file, path);
    check(ftruncate(file, 2 * PAGE), path);
    close(file);
}

/* Maps and keeps open a file; returns whether it is there. */
static int use_file(const char *folder, const char *name, int flags)
{
    char path[256];
    int file, protection = (flags & O_ACCMODE) == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = open(path, flags, 0644);
    if (file < 0) {
        return 0;
    }
    check(ftruncate(file, 2 * PAGE) < 0 && (flags & O_CREAT) ? -1 : 0, path);
    if (mmap(NULL, PAGE, protection, MAP_SHARED, file, 0) == MAP_FAILED) {
        fail(path);
    }
    return 1;
}

/*
 * A program of a file system that is laid over another, as those of containers: this program again, and files that are below,
 * above, changed and gone. With a base that ends with "root" it has the merged tree as its root.
 */
static void be_overlaid(const char *base)
{
    static const char *const FOLDERS[] = {
        "", "/lower", "/lower/folder", "/upper", "/work", "/merged", "/bound", NULL
    };
    char path[300], options[512], merged[256], number[16];

    name_process("overlaid");
    check(unshare(CLONE_NEWNS), "unshare");
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    for (int i = 0; FOLDERS[i] != NULL; i++) {
        snprintf(path, sizeof(path), "%s%s", base, FOLDERS[i]);
        check(mkdir(path, 0755), path);
    }
    snprintf(path, sizeof(path), "%s/lower/zoo", base);
    copy_program(path);
    snprintf(path, sizeof(path), "%s/lower", base);
    make_file(path, "below");
    make_file(path, "folder/changed");
    make_file(path, "folder/gone");
    snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", base, base, base);
    snprintf(merged, sizeof(merged), "%s/merged", base);
    if (mount("overlay", merged, "overlay", 0, options) != 0) {
        /* Not every kernel has it. */
        hold();
    }
    snprintf(number, sizeof(number), "%d", ready[1]);
    if (strcmp(base + strlen(base) - 4, "root") == 0) {
        check(chroot(merged), merged);
        check(chdir("/"), "/");
        execl("/zoo", "zoo", "--overlay", "", number, NULL);
    } else {
        snprintf(path, sizeof(path), "%s/bound", base);
        snprintf(options, sizeof(options), "%s/folder", merged);
        check(mount(options, path, NULL, MS_BIND, NULL), "bind");
        use_file(path, "changed", O_RDONLY);
        snprintf(path, sizeof(path), "%s/zoo", merged);
        execl(path, "zoo", "--overlay", merged, number, NULL);
    }
    fail("zoo");
}

/* The program of be_overlaid(). */
static void use_overlay(const char *root)
{
    char path[256];

    name_process("overlaid");
    use_file(root, "below", O_RDONLY);
    use_file(root, "above", O_RDWR | O_CREAT);
    use_file(root, "folder/changed", O_RDWR);
    use_file(root, "folder/gone", O_RDONLY);
    snprintf(path, sizeof(path), "%s/../bound", root);
    use_file(path, "changed", O_RDONLY);
    snprintf(path, sizeof(path), "%s/folder/gone", root);
    check(unlink(path), path);
    snprintf(path, sizeof(path), "%s/folder", root);
    check(chdir(path), path);
    hold();
}

/* This program again, which writes over its own command line: be_titled(). */
static void become_titled(const char *how)
{
    static char padding[6000] = "PADDING=";
    char number[16];
    char *environment[] = { "FIRST=1", "SECOND=\xff two", strcmp(how, "long") == 0 ? padding : NULL, NULL };

    memset(padding + strlen(padding), 'p', sizeof(padding) - strlen(padding) - 1);
    snprintf(number, sizeof(number), "%d", ready[1]);
    execle("/proc/self/exe", "zoo", "--title", how, number, "a word", "\xff\xfe", "", "", NULL, environment);
    fail("/proc/self/exe");
}

/*
 * Writes over the command line as programs do that set their title: the kernel prints it in other ways then (fs/proc/base.c:
 * get_mm_cmdline()).
 */
static void be_titled(const char *how, char **words, int count)
{
    char *begin = words[0];
    char *end = words[count - 1] + strlen(words[count - 1]) + 1;
    char *last = environ[0];

    for (int i = 0; environ[i] != NULL; i++) {
        last = environ[i] + strlen(environ[i]) + 1;
    }
    name_process("titled");
    if (strcmp(how, "over") == 0) {
        /* Beyond its end, into the environment. */
        memset(begin, 'A', (size_t)(end - begin) + 5);
        end[5] = 0;
    } else if (strcmp(how, "inside") == 0) {
        memset(begin, 0, (size_t)(end - begin));
        memcpy(begin, "zoo: a title", 12);
    } else if (strcmp(how, "joined") == 0) {
        /* An end that is no zero, behind words that end with one. */
        end[-1] = 'J';
    } else if (strcmp(how, "long") == 0) {
        memset(begin, 'L', 5000);
    } else if (strcmp(how, "whole") == 0) {
        memset(begin, 'W', (size_t)(last - begin));
    } else if (strcmp(how, "apart") == 0) {
        /* Where the environment begins elsewhere, the title ends with the words. */
        check(prctl(PR_SET_MM, PR_SET_MM_ENV_START, end + 1, 0, 0), "PR_SET_MM");
        memset(begin, 'S', (size_t)(end - begin) + 5);
    }
    hold();
}

static void be_mapped(const char *name)
{
    int file = open("/tmp/mapped file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int gone = open("/tmp/gone\nfile", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int memory = memfd_create("named memory", 0);
    char *area;

    name_process(name);
    check(file, "mapped file");
    check(gone, "gone file");
    check(memory, "memfd");
    check(ftruncate(file, 8 * PAGE), "mapped file");
    check(ftruncate(gone, PAGE), "gone file");
    check(ftruncate(memory, 2 * PAGE), "memfd");
    mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, file, 2 * PAGE);
    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, gone, 0);
    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    area = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* Pieces with different permissions, and a hole. */
    mprotect(area, PAGE, PROT_NONE);
    mprotect(area + PAGE, PAGE, PROT_READ | PROT_EXEC);
    munmap(area + 3 * PAGE, PAGE);
    unlink("/tmp/gone\nfile");
    hold();
}

static void be_opener(const char *name)
{
    int ends[2];
    int file = open("/tmp/open file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int gone = open("/tmp/unlinked", O_WRONLY | O_CREAT | O_APPEND, 0600);

    name_process(name);
    check(file, "open file");
    check(gone, "unlinked");
    check((int)write(file, "0123456789", 10), "open file");
    check((int)lseek(file, 5, SEEK_SET), "open file");
    unlink("/tmp/unlinked");
    check(pipe(ends), "pipe");
    check(eventfd(7, 0), "eventfd");
    check(epoll_create1(0), "epoll");
    check(open("/dev/null", O_RDONLY), "/dev/null");
    check(open("/tmp", O_RDONLY | O_DIRECTORY), "/tmp");
    check(open("/proc/self/status", O_RDONLY), "/proc");
    /* A number far beyond the others: the table has grown. */
    check(dup2(file, 300), "dup2");
    hold();
}

static struct sockaddr_in ip_address(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int bound_socket(int family, int type, const void *address, socklen_t size)
{
    int one = 1;
    int descriptor = socket(family, type, 0);

    check(descriptor, "socket");
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    check(bind(descriptor, address, size), "bind");
    return descriptor;
}

static int unix_socket(int type, const char *name, size_t size)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    memcpy(address.sun_path, name, size);
    return bound_socket(AF_UNIX, type, &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
}

static void raise_loopback(void)
{
    struct ifreq loopback = { .ifr_name = "lo" };
    int any = socket(AF_INET, SOCK_DGRAM, 0);

    check(ioctl(any, SIOCGIFFLAGS, &loopback), "lo");
    loopback.ifr_flags |= IFF_UP;
    check(ioctl(any, SIOCSIFFLAGS, &loopback), "lo");
    close(any);
}

static int connected_socket(int family, const void *address, socklen_t size)
{
    int client = socket(family, SOCK_STREAM, 0);

    check(client, "socket");
    check(connect(client, address, size), "connect");
    return client;
}

/*
 * Connections that no process has: one that is not accepted, one that both sides have closed, and one whose listener wants
 * data before it takes it for one.
 */
static void leave_connections(int family, int listening, const void *address, socklen_t size)
{
    int seconds = 100;
    int client = connected_socket(family, address, size);
    int accepted = accept(listening, NULL, NULL);

    check(accepted, "accept");
    close(client);
    close(accepted);
    connected_socket(family, address, size);
    check(setsockopt(listening, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), "TCP_DEFER_ACCEPT");
    connected_socket(family, address, size);
}

static void be_networked(const char *name)
{
    struct sockaddr_in tcp = ip_address(7001), udp = ip_address(7003), peer = ip_address(7004);
    struct sockaddr_in6 tcp6 = { .sin6_family = AF_INET6,
                                 .sin6_port = htons(7002),
                                 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr_in6 udp6 = { .sin6_family = AF_INET6, .sin6_port = htons(7005), .sin6_addr = IN6ADDR_ANY_INIT };
    struct sockaddr_nl routes = { .nl_family = AF_NETLINK, .nl_groups = 1 };
    struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/tmp/zoo socket" };
    int listening, datagrams, pair[2];

    name_process(name);
    raise_loopback();
    listening = bound_socket(AF_INET, SOCK_STREAM, &tcp, sizeof(tcp));
    check(listen(listening, 5), "listen");
    connected_socket(AF_INET, &tcp, sizeof(tcp));
    check(accept(listening, NULL, NULL), "accept");
    leave_connections(AF_INET, listening, &tcp, sizeof(tcp));
    datagrams = bound_socket(AF_INET, SOCK_DGRAM, &udp, sizeof(udp));
    check(connect(datagrams, (struct sockaddr *)&peer, sizeof(peer)), "connect");
    check(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), "raw socket");
    /* A kernel without IPv6, or with it as a module, is as good. */
    if (access("/proc/net/tcp6", F_OK) == 0) {
        listening = bound_socket(AF_INET6, SOCK_STREAM, &tcp6, sizeof(tcp6));
        check(listen(listening, 5), "listen");
        connected_socket(AF_INET6, &tcp6, sizeof(tcp6));
        check(accept(listening, NULL, NULL), "accept");
        leave_connections(AF_INET6, listening, &tcp6, sizeof(tcp6));
        bound_socket(AF_INET6, SOCK_DGRAM, &udp6, sizeof(udp6));
        check(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), "raw socket");
    }
    /* Debian's kernels have unix sockets built in; the first name is a path, the second abstract. */
    listening = unix_socket(SOCK_STREAM, "/tmp/zoo socket", sizeof("/tmp/zoo socket"));
    check(listen(listening, 5), "listen");
    /* Nobody accepts it. */
    connected_socket(AF_UNIX, &path, sizeof(path));
    unix_socket(SOCK_DGRAM, "\0abstract\033[31m%n", sizeof("\0abstract\033[31m%n") - 1);
    check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), "socketpair");
    bound_socket(AF_NETLINK, SOCK_RAW, &routes, sizeof(routes));
    /* Kernels may have these as a module. */
    socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP));
    hold();
}

/* The same address as another's, in a network of its own. */
static void be_elsewhere(const char *name)
{
    struct sockaddr_in tcp = ip_address(7001), udp = ip_address(7003);

    name_process(name);
    check(unshare(CLONE_NEWNET), "unshare");
    raise_loopback();
    check(listen(bound_socket(AF_INET, SOCK_STREAM, &tcp, sizeof(tcp)), 5), "listen");
    connected_socket(AF_INET, &tcp, sizeof(tcp));
    bound_socket(AF_INET, SOCK_DGRAM, &udp, sizeof(udp));
    unix_socket(SOCK_DGRAM, "\0elsewhere", sizeof("\0elsewhere") - 1);
    hold();
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--hold") == 0) {
        unlink("/tmp/deleted program");
        ready[1] = atoi(argv[2]);
        hold();
    }
    if (argc > 3 && strcmp(argv[1], "--overlay") == 0) {
        ready[1] = atoi(argv[3]);
        use_overlay(argv[2]);
    }
    if (argc > 3 && strcmp(argv[1], "--title") == 0) {
        ready[1] = atoi(argv[3]);
        be_titled(strdup(argv[2]), argv, argc);
    }
    if (argc != 2) {
        fprintf(stderr, "usage: zoo FILE\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    check(pipe(ready), "pipe");
    start("spaces", be_named, " a b  c ");
    start("format", be_named, "%n%s%x%n");
    start("escape", be_named, "\033[2J\033[31mred");
    start("fifteen", be_named, "fifteen-chars-x");
    start("newline", be_named, "two\nlines)");
    start("bytes", be_named, "\xff\xfe\xc3\xbc\x80");
    start("unnamed", be_named, "");
    start("threads", be_threaded, "threaded");
    start("leaderless", be_leaderless, "leaderless");
    start("double_fork", be_daemon, "daemon");
    start("zombie", be_zombie, "zombie");
    start("outside", be_namespaced, "inside");
    start("user", be_user, "user");
    start("deleted", be_deleted, "de leted");
    start("title_none", become_titled, "none");
    start("title_over", become_titled, "over");
    start("title_inside", become_titled, "inside");
    start("title_joined", become_titled, "joined");
    start("title_long", become_titled, "long");
    start("title_whole", become_titled, "whole");
    start("title_apart", become_titled, "apart");
    start("overlaid", be_overlaid, "/tmp/overlay");
    start("overlaid_root", be_overlaid, "/tmp/overlay root");
    start("mapped", be_mapped, "mapped");
    start("opener", be_opener, "opener");
    start("networked", be_networked, "networked");
    start("elsewhere", be_elsewhere, "elsewhere");
    /* The one that only forked twice leaves nothing behind; the zombie stays. */
    usleep(20000);
    name_process("zoo keeper");
    printf("rebox-guest: zoo.ready=%d\n", getpid());
    close(open(argv[1], O_WRONLY | O_CREAT, 0600));
    for (;;) {
        pause();
    }
}
