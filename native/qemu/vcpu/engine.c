/*
 * The engine's life: QEMU is initialised on the caller's thread, its main loop runs on a thread of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* exit() inside qemu_init() is undone by a long jump, which fortified libc refuses when a coroutine's stack is left. */
#undef _FORTIFY_SOURCE
#include "rebox/vcpu/vcpu.h"
#include "qapi/qapi-types-run-state.h"
#include "qapi/util.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "qemu/notify.h"
#include "system/replay.h"
#include "system/reset.h"
#include "system/runstate.h"
#include "system/runstate-action.h"
#include "system/system.h"
#include "rebox/vcpu/faults.h"
#include <setjmp.h>
#include <signal.h>

#define FIRST_WAIT_MS 5
#define MAX_FLOORS 4

rebox_engine_events rebox_events;

static const rebox_floor *floors[MAX_FLOORS];
static int floor_count;

static QemuThread main_loop_thread;
static bool started, ended;
static bool end_reported;
/* A monitor has said "stop" before the machine was let go. */
static bool stays_stopped;
static bool is_restoring;

static Notifier shutdown_notifier;
static ShutdownCause shutdown_cause;

static sigjmp_buf init_exit_target;
static int init_exit_status;

void rebox_add_floor(const rebox_floor *floor)
{
    assert(floor_count < MAX_FLOORS);
    floors[floor_count++] = floor;
}

/* Calls a function of every floor that has it. */
#define CALL_FLOORS(function, ...) \
    for (int i = 0; i < floor_count; i++) { \
        if (floors[i]->function) { \
            floors[i]->function(__VA_ARGS__); \
        } \
    }

void rebox_enter_floors(CPUState *cpu)
{
    CALL_FLOORS(enter, cpu)
}

void rebox_stop_floors(CPUState *cpu)
{
    CALL_FLOORS(stop, cpu)
}

int rebox_glue_version(void)
{
    return REBOX_GLUE_VERSION;
}

const char *rebox_qemu_version(void)
{
    return QEMU_VERSION;
}

bool rebox_engine_has_ended(void)
{
    return qatomic_read(&ended);
}

static const char *cause_name(ShutdownCause cause)
{
    return qapi_enum_lookup(&ShutdownCause_lookup, cause);
}

static void on_run_state(void *opaque, bool running, RunState state)
{
    if (running) {
        rebox_start_executing();
    }
    rebox_events.run_state(rebox_events.opaque, running, qapi_enum_lookup(&RunState_lookup, state));
}

static void on_shutdown(Notifier *notifier, void *data)
{
    shutdown_cause = *(ShutdownCause *)data;
}

static void on_reset(void *opaque)
{
    CALL_FLOORS(reset)
    if (!is_restoring) {
        rebox_events.reset(rebox_events.opaque);
    }
}

void rebox_set_restoring(bool on)
{
    is_restoring = on;
}

static void report_end(bool crashed, const char *message)
{
    if (!qatomic_xchg(&end_reported, true)) {
        qatomic_set(&ended, true);
        rebox_events.ended(rebox_events.opaque, crashed, cause_name(shutdown_cause), message);
        rebox_engine_interrupt();
    }
}

static void *run_main_loop(void *unused)
{
    int status;

    rebox_faults_enter_main_loop();
    replay_mutex_lock();
    bql_lock();
    status = qemu_main_loop();
    CALL_FLOORS(close)
    qemu_cleanup(status);
    rebox_recording_end();
    bql_unlock();
    replay_mutex_unlock();
    report_end(false, "");
    return NULL;
}

void rebox_engine_fault(const char *message)
{
    report_end(true, message);
}

void rebox_init_exit(int status)
{
    init_exit_status = status;
    siglongjmp(init_exit_target, 1);
}

/*
 * Node makes a pipe or socket on stdout non-blocking, where stdio drops what does not fit at once: help would end in the
 * middle. Returns the flags to restore.
 */
static int make_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && (flags & O_NONBLOCK)) {
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    return flags;
}

static const int node_signals[] = { SIGINT, SIGHUP, SIGTERM, SIGPIPE, SIGBUS, SIGUSR1 };

rebox_start_result rebox_engine_start(int argc, char **argv, const rebox_engine_events *events, int *exit_status,
                                      char *message, size_t message_size)
{
    struct sigaction actions[ARRAY_SIZE(node_signals)];
    sigset_t mask;
    int stdout_flags, stderr_flags;
    bool exited;

    if (started) {
        return REBOX_START_TWICE;
    }
    started = true;
    rebox_events = *events;
    *exit_status = 0;

    /* Signals stay Node's: QEMU's handlers would end the process without Node's knowledge. */
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int i = 0; i < ARRAY_SIZE(node_signals); i++) {
        sigaction(node_signals[i], NULL, &actions[i]);
    }
    stdout_flags = make_blocking(STDOUT_FILENO);
    stderr_flags = make_blocking(STDERR_FILENO);
    rebox_faults_begin_init(message, message_size);
    exited = sigsetjmp(init_exit_target, 0);
    if (!exited) {
        qemu_init(argc, argv);
    }
    rebox_faults_end_init();
    fcntl(STDOUT_FILENO, F_SETFL, stdout_flags);
    fcntl(STDERR_FILENO, F_SETFL, stderr_flags);
    for (int i = 0; i < ARRAY_SIZE(node_signals); i++) {
        sigaction(node_signals[i], &actions[i], NULL);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (exited) {
        /* QEMU is half built and stays so: its locks are held, its memory is not freed. */
        qatomic_set(&ended, true);
        *exit_status = init_exit_status;
        return REBOX_START_EXITED;
    }

    CALL_FLOORS(start)
    rebox_faults_install_handlers();
    qemu_add_vm_change_state_handler(on_run_state, NULL);
    shutdown_notifier.notify = on_shutdown;
    qemu_register_shutdown_notifier(&shutdown_notifier);
    qemu_register_reset(on_reset, NULL);
    rebox_recording_begin();
    current_cpu = NULL;
    bql_unlock();
    replay_mutex_unlock();
    qemu_thread_create(&main_loop_thread, "qemu_main", run_main_loop, NULL, QEMU_THREAD_DETACHED);
    return REBOX_START_OK;
}

void __real_qmp_stop(Error **errp);
void __wrap_qmp_stop(Error **errp);
void __wrap_qmp_stop(Error **errp)
{
    /* Before it has run, a machine is paused already, and QEMU forgets that it was asked to be. */
    if (runstate_check(RUN_STATE_PRELAUNCH)) {
        qatomic_set(&stays_stopped, true);
    }
    __real_qmp_stop(errp);
}

void __real_qmp_cont(Error **errp);
void __wrap_qmp_cont(Error **errp);
void __wrap_qmp_cont(Error **errp)
{
    qatomic_set(&stays_stopped, false);
    __real_qmp_cont(errp);
}

bool rebox_engine_stays_stopped(void)
{
    return qatomic_read(&stays_stopped);
}

static void quit(void *unused)
{
    /* With -no-shutdown, or after set-action, it would only be paused; quit of a monitor does the same. */
    shutdown_action = SHUTDOWN_ACTION_POWEROFF;
    qemu_system_shutdown_request(SHUTDOWN_CAUSE_HOST_QMP_QUIT);
    qemu_notify_event();
}

void rebox_engine_quit(void)
{
    if (!started || rebox_engine_has_ended()) {
        return;
    }
    if (rebox_is_recorded()) {
        /* It goes into the log, whose lock the main loop has. */
        aio_bh_schedule_oneshot(qemu_get_aio_context(), quit, NULL);
    } else {
        quit(NULL);
    }
}

bool rebox_engine_end_now(int timeout_ms)
{
    int64_t deadline_ms = g_get_monotonic_time() / 1000 + timeout_ms;

    if (!started || rebox_engine_has_ended()) {
        return true;
    }
    rebox_engine_quit();
    while (!rebox_engine_has_ended() && g_get_monotonic_time() / 1000 < deadline_ms) {
        /* The main loop stops the vCPUs first, and only this thread can report to it that they have stopped. */
        rebox_engine_slice(FIRST_WAIT_MS);
    }
    return rebox_engine_has_ended();
}
