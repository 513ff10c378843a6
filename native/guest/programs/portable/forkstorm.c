/*
 * Does a number of random acts with processes, one after the other, and keeps a log of them.
 *
 *   forkstorm SEED ACTS [now]
 *
 * A tree of actors does what the director orders through pipes; the director waits until each act is over, so the log's
 * order is the guest's order. "rebox-act: NUMBER WHAT key=value ..." is printed at the end, when nothing more happens:
 *
 *   fork     pid, child, name   child is a new process with its parent's name
 *   exec     pid, name          pid runs a new program, called name
 *   texec    pid, name          the same, asked for by a thread that is not the first
 *   vfork    pid, child         child shared its parent's memory and ended
 *   vforkexec pid, child, name  child shared its parent's memory, then ran a program called name and lives on
 *   thread   pid                a thread came and went
 *   share    pid, child         child, a process with its parent's memory, came and went
 *   rename   pid, name          pid gave itself another name
 *   exit     pid, name          pid, called name, ended
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <poll.h>
#include "../go.h"

enum { SLOTS = 12, NAME_SIZE = 16, STACK = 65536, LINE = 120 };

struct order {
    char what;
    int slot; /* for a new actor */
    char name[NAME_SIZE];
};

struct slot {
    pid_t pid;
    int handle; /* a pidfd */
    char name[NAME_SIZE];
};

/* The same numbers in every process: orders to each slot, and answers to the director. */
static int orders[SLOTS][2];
static int answers[2];
static struct slot slots[SLOTS];
static uint32_t state;
static char *log_text;
static size_t log_size;
static int acts_done;

static void fail(const char *what)
{
    perror(what);
    _exit(1);
}

static void check(int result, const char *what)
{
    if (result < 0) {
        fail(what);
    }
}

/* Numerical Recipes' linear congruential generator; its upper bits are the better ones. */
static uint32_t random_below(uint32_t limit)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % limit;
}

static void answer(pid_t pid)
{
    check((int)write(answers[1], &pid, sizeof(pid)), "answer");
}

static void act_as(int slot);

/* The actor continues in a new program; it finds its pipes by their numbers. */
static void run_program(int slot, const char *name)
{
    char path[64], number[16];

    snprintf(path, sizeof(path), "/tmp/storm/%s", name);
    snprintf(number, sizeof(number), "%d", slot);
    /* Nothing but system calls from here on: after vfork() the memory is the parent's. */
    execl(path, name, "--actor", number, NULL);
    fail(path);
}

static void *come_and_go(void *unused)
{
    return unused;
}

struct program {
    int slot;
    const char *name;
};

static void *run_from_thread(void *argument)
{
    const struct program *program = argument;

    run_program(program->slot, program->name);
    return NULL;
}

static int end_at_once(void *unused)
{
    (void)unused;
    _exit(0);
}

static void act(int slot, const struct order *order)
{
    static char stack[STACK] __attribute__((aligned(16)));
    struct program program = { slot, order->name };
    pthread_t thread;
    pid_t child = 0;
    char number[16], path[64];

    switch (order->what) {
    case 'f':
        child = fork();
        check(child, "fork");
        if (child == 0) {
            act_as(order->slot);
        }
        break;
    case 'e':
        run_program(slot, order->name);
        break;
    case 'E':
        if (pthread_create(&thread, NULL, run_from_thread, &program) != 0) {
            fail("thread");
        }
        pthread_join(thread, NULL);
        break;
    case 'v':
        child = vfork();
        check(child, "vfork");
        if (child == 0) {
            _exit(0);
        }
        break;
    case 'V':
        snprintf(path, sizeof(path), "/tmp/storm/%s", order->name);
        snprintf(number, sizeof(number), "%d", order->slot);
        child = vfork();
        check(child, "vfork");
        if (child == 0) {
            execl(path, order->name, "--actor", number, NULL);
            _exit(1);
        }
        break;
    case 't':
        if (pthread_create(&thread, NULL, come_and_go, NULL) != 0 || pthread_join(thread, NULL) != 0) {
            fail("thread");
        }
        break;
    case 's':
        child = clone(end_at_once, stack + STACK, CLONE_VM | SIGCHLD, NULL);
        check(child, "clone");
        /* SIGCHLD is ignored: this waits until no child is left that is about to end, or fails at once. */
        while (kill(child, 0) == 0) {
            usleep(500);
        }
        break;
    case 'n':
        check(prctl(PR_SET_NAME, order->name, 0, 0, 0), "name");
        break;
    case 'x':
        _exit(0);
    }
    answer(child);
}

static void act_as(int slot)
{
    struct order order;

    answer(getpid());
    for (;;) {
        if (read(orders[slot][0], &order, sizeof(order)) != (ssize_t)sizeof(order)) {
            fail("order");
        }
        act(slot, &order);
    }
}

static void note(const char *format, ...)
{
    va_list values;

    log_size += (size_t)snprintf(log_text + log_size, LINE, "rebox-act: %d ", acts_done++);
    va_start(values, format);
    log_size += (size_t)vsnprintf(log_text + log_size, LINE, format, values);
    va_end(values);
}

static pid_t hear(void)
{
    pid_t pid;

    if (read(answers[0], &pid, sizeof(pid)) != (ssize_t)sizeof(pid)) {
        fail("hear");
    }
    return pid;
}

/* Two answers come in either order: the parent's with the child's number, and the child's own. */
static pid_t order_and_hear(int slot, char what, int new_slot, const char *name, int count)
{
    struct order order = { .what = what, .slot = new_slot };
    pid_t pid = 0;

    strncpy(order.name, name, sizeof(order.name) - 1);
    check((int)write(orders[slot][1], &order, sizeof(order)), "order");
    while (count-- > 0) {
        pid_t heard = hear();
        pid = heard != 0 ? heard : pid;
    }
    return pid;
}

static void take_slot(int slot, pid_t pid, const char *name)
{
    slots[slot].pid = pid;
    slots[slot].handle = (int)syscall(SYS_pidfd_open, pid, 0);
    check(slots[slot].handle, "pidfd_open");
    snprintf(slots[slot].name, NAME_SIZE, "%s", name);
}

static void end_slot(int slot)
{
    struct pollfd gone = { .fd = slots[slot].handle, .events = POLLIN };

    order_and_hear(slot, 'x', 0, "", 0);
    while (poll(&gone, 1, -1) != 1) {
    }
    close(slots[slot].handle);
    note("exit pid=%d name=%s\n", slots[slot].pid, slots[slot].name);
    slots[slot].pid = 0;
}

static int find_slot(int is_free)
{
    int first = (int)random_below(SLOTS);

    for (int i = 0; i < SLOTS; i++) {
        int slot = (first + i) % SLOTS;
        if ((slots[slot].pid == 0) == is_free) {
            return slot;
        }
    }
    return -1;
}

/* The last actor has ended: the director starts the next one itself. */
static void fork_first(int room)
{
    pid_t child = fork();

    check(child, "fork");
    if (child == 0) {
        act_as(room);
    }
    hear();
    note("fork pid=%d child=%d name=forkstorm\n", getpid(), child);
    take_slot(room, child, "forkstorm");
}

static void fork_actor(int slot, int room, const char *name)
{
    pid_t child = order_and_hear(slot, 'f', room, "", 2);

    (void)name;
    note("fork pid=%d child=%d name=%s\n", slots[slot].pid, child, slots[slot].name);
    take_slot(room, child, slots[slot].name);
}

/* Orders what gives an actor a new name, and notes it as verb. */
static void order_name(int slot, char what, const char *verb, const char *name)
{
    order_and_hear(slot, what, 0, name, 1);
    snprintf(slots[slot].name, NAME_SIZE, "%s", name);
    note("%s pid=%d name=%s\n", verb, slots[slot].pid, name);
}

static void exec_actor(int slot, int room, const char *name)
{
    (void)room;
    order_name(slot, 'e', "exec", name);
}

static void exec_from_thread(int slot, int room, const char *name)
{
    (void)room;
    order_name(slot, 'E', "texec", name);
}

static void rename_actor(int slot, int room, const char *name)
{
    (void)room;
    order_name(slot, 'n', "rename", name);
}

/* Orders a child that comes and goes, and notes it as verb. */
static void order_brief_child(int slot, char what, const char *verb)
{
    pid_t child = order_and_hear(slot, what, 0, "", 1);

    note("%s pid=%d child=%d\n", verb, slots[slot].pid, child);
}

static void vfork_actor(int slot, int room, const char *name)
{
    (void)room, (void)name;
    order_brief_child(slot, 'v', "vfork");
}

static void share_memory(int slot, int room, const char *name)
{
    (void)room, (void)name;
    order_brief_child(slot, 's', "share");
}

static void vfork_and_exec(int slot, int room, const char *name)
{
    pid_t child = order_and_hear(slot, 'V', room, name, 2);

    note("vforkexec pid=%d child=%d name=%s\n", slots[slot].pid, child, name);
    take_slot(room, child, name);
}

static void start_thread(int slot, int room, const char *name)
{
    (void)room, (void)name;
    order_and_hear(slot, 't', 0, "", 1);
    note("thread pid=%d\n", slots[slot].pid);
}

static void exit_actor(int slot, int room, const char *name)
{
    (void)room, (void)name;
    end_slot(slot);
}

/* The acts and their chances in percent. Without room for a new actor, the next act that needs none is done instead. */
static const struct {
    uint32_t chance;
    int needs_room;
    void (*perform)(int slot, int room, const char *name);
} ACTS[] = {
    { 25, 1, fork_actor },  { 15, 0, exec_actor },    { 5, 0, exec_from_thread },
    { 7, 0, vfork_actor },  { 8, 1, vfork_and_exec }, { 10, 0, start_thread },
    { 6, 0, share_memory }, { 6, 0, rename_actor },   { 18, 0, exit_actor },
};

static void one_act(void)
{
    static const char *const NAMES[] = { "alpha", "beta", "gamma", "delta-fifteen-c", "e psilon", "zeta%n" };
    const char *name = NAMES[random_below(sizeof(NAMES) / sizeof(NAMES[0]))];
    int slot = find_slot(0), room = find_slot(1);
    uint32_t dice = random_below(100), below = 0;

    if (slot < 0) {
        fork_first(room);
        return;
    }
    for (size_t i = 0; i < sizeof(ACTS) / sizeof(ACTS[0]); i++) {
        below += ACTS[i].chance;
        if (dice < below && (room >= 0 || !ACTS[i].needs_room)) {
            ACTS[i].perform(slot, room, name);
            return;
        }
    }
}

/* An actor that runs a new program still has its pipes, at the numbers that the director gave them. */
static void number_pipes(int first)
{
    answers[0] = first;
    answers[1] = first + 1;
    for (int slot = 0; slot < SLOTS; slot++) {
        orders[slot][0] = first + 2 + 2 * slot;
        orders[slot][1] = first + 3 + 2 * slot;
    }
}

static void make_pipe(int *ends)
{
    int made[2];

    check(pipe(made), "pipe");
    for (int i = 0; i < 2; i++) {
        check(dup2(made[i], ends[i]), "dup2");
        close(made[i]);
    }
}

/* Returns the number of processes and threads that the kernel has ever started, by its own count. */
static unsigned long count_started(void)
{
    char line[256];
    unsigned long count = 0;
    FILE *file = fopen("/proc/stat", "r");

    if (file == NULL) {
        fail("/proc/stat");
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "processes %lu", &count) == 1) {
            break;
        }
    }
    fclose(file);
    return count;
}

int main(int argc, char **argv)
{
    unsigned long started;
    int acts = argc > 2 ? atoi(argv[2]) : 0;

    /* Ended children vanish without anybody asking for them. */
    signal(SIGCHLD, SIG_IGN);
    number_pipes(100);
    if (argc == 3 && strcmp(argv[1], "--actor") == 0) {
        act_as(acts);
    }
    if (acts < 1 || acts > 100000) {
        fprintf(stderr, "usage: forkstorm SEED ACTS [now]\n");
        return 2;
    }
    state = (uint32_t)strtoul(argv[1], NULL, 0);
    log_text = calloc((size_t)(acts + SLOTS), 2 * LINE);
    make_pipe(answers);
    for (int slot = 0; slot < SLOTS; slot++) {
        make_pipe(orders[slot]);
    }
    printf("rebox-guest: forkstorm.pid=%d\n", getpid());
    if (argc < 4) {
        wait_for_go("forkstorm");
    }
    started = count_started();
    while (acts_done < acts) {
        one_act();
    }
    for (int slot = 0; slot < SLOTS; slot++) {
        if (slots[slot].pid != 0) {
            end_slot(slot);
        }
    }
    printf("rebox-guest: forkstorm.started=%lu\n", count_started() - started);
    fputs(log_text, stdout);
    printf("rebox-guest: forkstorm.acts=%d\n", acts_done);
    return 0;
}
