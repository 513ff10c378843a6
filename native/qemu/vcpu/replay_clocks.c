/*
 * The host's clocks while a machine is recorded or replayed.
 *
 * The log says when timers of the host's clocks fire. In a replay QEMU leaves them to its main loop, which is woken after each run of
 * instructions, while the vCPUs turn in vain until it has done so: two changes of threads for most events of the log. Here the vCPUs'
 * thread fires them where they are next, as it fires those of the guest's clock, and wakes the main loop for the rest.
 *
 * While it records, QEMU's main loop notes in each of its turns that it looks for timers of the host's clocks to fire, though mostly none
 * has expired: a replay would have to look in the same place. Here it looks only where one has.
 *
 * To know how long it may sleep, QEMU's main loop reads the guest's view of the host's clocks, which goes into the log as if it were of
 * use to the guest: a replay would have to do the same, in the same place. Here it looks at the host's clocks themselves; and in a
 * replay, whose events do not wait for any clock, it does not sleep where it is the one that goes on.
 *
 * Where a timer of the guest's clock is due, the vCPUs' thread fires it, and QEMU wakes its main loop all the same, for timers that it might
 * have in its block layer. It has none mostly; to see that, it takes the lock of the log and then QEMU's, and the vCPUs wait for it twice.
 * Here it is woken only where it has some.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/recording.h"
#include "rebox/vcpu/states.h"
#include "qapi/qapi-types-ui.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "system/cpus.h"
#include "system/cpu-timers.h"
#include "system/replay.h"
#include "system/runstate.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

/* A disk's operation is waited for: its end wakes the main loop; the sleep only bounds a lost wake-up. */
#define OPERATION_WAIT_NS SCALE_MS

static __thread bool is_advancing;

void rebox_replay_clocks(void)
{
    unsigned int event;

    if (replay_mode != REPLAY_MODE_PLAY || !runstate_is_running()) {
        return;
    }
    do {
        event = replay_state.current_event;
        if (replay_state.data_kind == EVENT_CHECKPOINT + CHECKPOINT_CLOCK_HOST) {
            qemu_clock_run_timers(QEMU_CLOCK_HOST);
        } else if (replay_state.data_kind == EVENT_CHECKPOINT + CHECKPOINT_CLOCK_VIRTUAL_RT) {
            qemu_clock_run_timers(QEMU_CLOCK_VIRTUAL_RT);
        }
    } while (replay_state.current_event != event);
    switch (replay_state.data_kind) {
    case EVENT_INSTRUCTION:
    case EVENT_INTERRUPT:
    case EVENT_EXCEPTION:
    case EVENT_CHECKPOINT + CHECKPOINT_CLOCK_VIRTUAL:
    case EVENT_CHECKPOINT + CHECKPOINT_CLOCK_WARP_ACCOUNT:
        break;
    default:
        qemu_notify_event();
    }
}

void __real_replay_advance_current_icount(uint64_t count);
void __wrap_replay_advance_current_icount(uint64_t count);
void __wrap_replay_advance_current_icount(uint64_t count)
{
    is_advancing = replay_mode == REPLAY_MODE_PLAY && rebox_on_vcpu_thread();
    __real_replay_advance_current_icount(count);
    is_advancing = false;
    /* The timer that ends a way to a count is the main loop's. */
    if (replay_mode == REPLAY_MODE_PLAY && replay_break_icount == replay_state.current_icount) {
        qemu_notify_event();
    }
}

void __real_qemu_notify_event(void);
void __wrap_qemu_notify_event(void);
void __wrap_qemu_notify_event(void)
{
    if (!is_advancing) {
        __real_qemu_notify_event();
    }
}

/* Whether the main loop, and nobody else, can do what the log has next. */
static bool is_main_loops_turn(void)
{
    return replay_mode == REPLAY_MODE_PLAY && runstate_is_running() && replay_state.instruction_count == 0 &&
           replay_has_event() && all_cpu_threads_idle();
}

static int64_t clock_ns(QEMUClockType type)
{
    switch (type) {
    case QEMU_CLOCK_HOST:
        return get_clock_realtime();
    case QEMU_CLOCK_VIRTUAL_RT:
        return cpu_get_clock();
    default:
        return get_clock();
    }
}

int64_t __real_timerlistgroup_deadline_ns(QEMUTimerListGroup *group);
int64_t __wrap_timerlistgroup_deadline_ns(QEMUTimerListGroup *group);
int64_t __wrap_timerlistgroup_deadline_ns(QEMUTimerListGroup *group)
{
    static const QEMUClockType types[] = { QEMU_CLOCK_REALTIME, QEMU_CLOCK_HOST, QEMU_CLOCK_VIRTUAL_RT };
    int64_t deadline_ns = -1;

    if (group != &main_loop_tlg || !rebox_is_recorded()) {
        return __real_timerlistgroup_deadline_ns(group);
    }
    if (is_main_loops_turn()) {
        bool is_operation = replay_state.data_kind >= EVENT_ASYNC && replay_state.data_kind <= EVENT_ASYNC_LAST;

        return is_operation ? OPERATION_WAIT_NS : 0;
    }
    for (int i = 0; i < ARRAY_SIZE(types); i++) {
        QEMUTimer *first = rebox_first_timer(group->tl[types[i]]);

        if (first) {
            deadline_ns = qemu_soonest_timeout(deadline_ns, MAX(0, first->expire_time - clock_ns(types[i])));
        }
    }
    return deadline_ns;
}

bool __real_qemu_clock_run_all_timers(void);
bool __wrap_qemu_clock_run_all_timers(void);
bool __wrap_qemu_clock_run_all_timers(void)
{
    static const QEMUClockType recorded[] = { QEMU_CLOCK_HOST, QEMU_CLOCK_VIRTUAL_RT };
    bool progress;

    if (replay_mode != REPLAY_MODE_RECORD) {
        return __real_qemu_clock_run_all_timers();
    }
    progress = qemu_clock_run_timers(QEMU_CLOCK_REALTIME);
    for (int i = 0; i < ARRAY_SIZE(recorded); i++) {
        QEMUTimer *first = rebox_first_timer(main_loop_tlg.tl[recorded[i]]);

        if (first && first->expire_time <= clock_ns(recorded[i])) {
            progress |= qemu_clock_run_timers(recorded[i]);
        }
    }
    return progress;
}

static bool has_timers(AioContext *context)
{
    return timerlist_has_timers(context->tlg.tl[QEMU_CLOCK_VIRTUAL]);
}

void __real_qemu_clock_notify(QEMUClockType type);
void __wrap_qemu_clock_notify(QEMUClockType type);
void __wrap_qemu_clock_notify(QEMUClockType type)
{
    bool is_of_vcpus = type == QEMU_CLOCK_VIRTUAL && rebox_is_recorded() && rebox_on_vcpu_thread();

    if (!is_of_vcpus || has_timers(qemu_get_aio_context()) || has_timers(iohandler_get_aio_context())) {
        __real_qemu_clock_notify(type);
    }
}
