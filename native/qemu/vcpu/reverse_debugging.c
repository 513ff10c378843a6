/*
 * gdb's reverse-stepi and reverse-continue in a replay.
 *
 * QEMU's own take snapshots in disk images, of which a replay has none, and load them as a migration does, by which a replay departs. Here
 * the states of this process are gone back to. The past is searched as the shell searches it: from state to state, the last part first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/states.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-replay.h"
#include "qemu/timer.h"
#include "system/replay.h"
#include "system/runstate.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

#define NO_HIT UINT64_MAX
#define NO_BREAK UINT64_MAX
/* A state is kept that many instructions in front of the place: steps back from there are short. */
#define NEAR 1000000

bool rebox_goes_back;
static bool is_on_way;
static uint64_t new_from;                 /* up to there everybody was told before gdb had the replay go back */
static uint64_t went_back_from;           /* the furthest of them */
static bool is_silent;                    /* somebody else has the replay go to a place, and nobody is told */
static uint64_t told_up_to;               /* where the first of such ways has begun */
static uint64_t silent_end = NO_BREAK;    /* where the last one has ended, and the replay still is */
static uint64_t wanted_stop = NO_BREAK;   /* somebody else wants it to stop there whenever it comes there */
static uint64_t passing_break = NO_BREAK; /* somebody else's, once */
static VMChangeStateEntry *watch;
static uint64_t part_begin, part_end; /* of the past that is looked through now */
static uint64_t last_hit;

/* A way takes away where somebody else wants the replay to stop. */
static void restore_break(void)
{
    uint64_t here = rebox_instruction_count();
    uint64_t first = NO_BREAK;

    if (passing_break > here) {
        first = passing_break;
    }
    if (wanted_stop > here) {
        first = MIN(first, wanted_stop);
    }
    if (first != NO_BREAK) {
        qmp_replay_break(first, NULL);
    }
}

/* Whatever stops the machine on its way, Ctrl-C in gdb for example, ends the way. Between two parts it is stopped to load a state. */
static void on_run_state(void *opaque, bool running, RunState state)
{
    if (!running && is_on_way && state != RUN_STATE_RESTORE_VM) {
        is_on_way = false;
        qmp_replay_delete_break(NULL);
        restore_break();
    }
}

bool rebox_repeats(void)
{
    uint64_t here = rebox_instruction_count();

    /* A way in silence comes back. */
    if (!is_on_way && !is_silent && here != silent_end && here >= new_from) {
        rebox_goes_back = false;
    }
    return rebox_goes_back;
}

void rebox_end_repetition(void)
{
    if (!is_on_way) {
        rebox_goes_back = false;
    }
    silent_end = NO_BREAK;
}

uint64_t rebox_went_back_from(void)
{
    return went_back_from;
}

void rebox_stop_gdb_at(uint64_t count)
{
    wanted_stop = count;
}

void rebox_end_going_back(void)
{
    rebox_goes_back = is_on_way = false;
    wanted_stop = passing_break = NO_BREAK;
}

void rebox_set_silent(bool on)
{
    uint64_t here = rebox_instruction_count();

    if (on && !is_silent && here != silent_end) {
        told_up_to = here;
    }
    if (!on) {
        silent_end = here;
    }
    is_silent = on;
}

/* Remembers from where gdb goes back, and what that takes away. */
static void leave_place(uint64_t count)
{
    if (is_on_way) {
        return;
    }
    passing_break = replay_break_icount;
    if (!rebox_repeats()) {
        /* Where a way in silence has ended, scripts have seen what was up to where it began. */
        new_from = count == silent_end ? told_up_to : count;
        went_back_from = MAX(went_back_from, new_from);
    }
    silent_end = NO_BREAK;
}

/* QEMU's main loop, the machine being paused. Executes up to a count, and calls back. */
static void run_to(uint64_t count, QEMUTimerCB callback)
{
    if (!watch) {
        watch = qemu_add_vm_change_state_handler(on_run_state, NULL);
    }
    rebox_goes_back = is_on_way = true;
    qmp_replay_delete_break(NULL);
    replay_break_icount = count;
    replay_break_timer = timer_new_ns(QEMU_CLOCK_REALTIME, callback, NULL);
    vm_start();
}

static void arrive(void *opaque)
{
    vm_stop(RUN_STATE_DEBUG);
}

static bool go_to(uint64_t count)
{
    /* Breakpoints are passed on the way. */
    part_begin = part_end = 0;
    if (!rebox_restore_state(count, &last_hit, NULL)) {
        return false;
    }
    if (count - last_hit > 2 * NEAR) {
        rebox_keep_state_at(count - NEAR);
    }
    run_to(count, arrive);
    return true;
}

static void end_part(void *opaque);

/* Looks through the past up to a count, from the last state in front of it on. */
static bool search_before(uint64_t count)
{
    last_hit = NO_HIT;
    part_end = count;
    if (count == 0 || !rebox_restore_state(count - 1, &part_begin, NULL)) {
        return false;
    }
    run_to(part_end, end_part);
    return true;
}

static void end_part(void *opaque)
{
    uint64_t first = part_begin;

    /* gdb is told nothing of a machine in this state. */
    vm_stop(RUN_STATE_RESTORE_VM);
    if (last_hit == NO_HIT && search_before(first)) {
        return;
    }
    /* Where nothing was hit, the first state is where going back ends. */
    if (!go_to(last_hit == NO_HIT ? first : last_hit)) {
        vm_start();
        arrive(NULL);
    }
}

bool __wrap_replay_running_debug(void);
bool __wrap_replay_running_debug(void)
{
    return is_on_way;
}

void __wrap_replay_breakpoint(void);
void __wrap_replay_breakpoint(void)
{
    /* An instruction that accesses memory is counted already while it does so. */
    uint64_t count = rebox_instruction_count() - (rebox_in_guest_code() ? 1 : 0);

    if (count >= part_begin && count < part_end) {
        last_hit = count;
    }
}

bool __wrap_replay_reverse_step(void);
bool __wrap_replay_reverse_step(void)
{
    uint64_t count = rebox_instruction_count();

    leave_place(count);
    return count != 0 && go_to(count - 1);
}

bool __wrap_replay_reverse_continue(void);
bool __wrap_replay_reverse_continue(void)
{
    uint64_t count = rebox_instruction_count();

    leave_place(count);
    /* The last instruction of a guest that has switched itself off would do so again. */
    return search_before(runstate_check(RUN_STATE_SHUTDOWN) ? count - 1 : count);
}

void __wrap_replay_gdb_attached(void);
void __wrap_replay_gdb_attached(void)
{
}
