/*
 * Checks that a replay still does what was recorded.
 *
 * Every so many delivered interrupts and exceptions, the count of instructions and a sum over the registers go into a second
 * file. QEMU notices that a replay departs from its recording only where an event comes too early. It waits for ever for one that does not
 * come: where the log has something next that only the guest can do, and the guest does not, that is noticed here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/faults.h"
#include "rebox/vcpu/recording.h"
#include "qapi/qapi-types-ui.h"
#include "system/cpus.h"
#include "system/replay.h"
#include "system/runstate.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

/* A check for so many interrupts and exceptions. */
#define CHECK_EVERY 64
#define CHECKS_NAME "checks"
/* So many turns of the vCPU, one after the other, in which it executes nothing. */
#define MOST_TURNS_IN_VAIN 10000

typedef struct check {
    uint64_t count;
    uint64_t sum;
} check;

static FILE *checks;
static uint64_t deliveries, last_delivery, last_right_count;
static bool is_departed;

/* In a replay: the next check that the recording has. */
static check next_check;
static bool has_next;

uint64_t rebox_last_right_count(void)
{
    return last_right_count;
}

static void read_check(void)
{
    has_next = checks && fread(&next_check, sizeof(next_check), 1, checks) == 1;
}

void rebox_begin_checks(void)
{
    g_autofree char *folder = g_path_get_dirname(replay_get_filename());
    g_autofree char *path = g_build_filename(folder, CHECKS_NAME, NULL);
    bool is_replay = replay_mode == REPLAY_MODE_PLAY;

    checks = fopen(path, is_replay ? "rb" : "wb");
    if (is_replay) {
        read_check();
    }
}

void rebox_flush_checks(void)
{
    if (checks) {
        fflush(checks);
    }
}

void rebox_seek_checks(uint64_t count)
{
    if (!checks) {
        return;
    }
    rewind(checks);
    do {
        read_check();
        /* Of the check of an interrupt at this very instruction nobody knows whether it lies ahead. */
    } while (has_next && next_check.count <= count);
    last_right_count = count;
}

void rebox_end_checks(void)
{
    if (checks) {
        fclose(checks);
        checks = NULL;
    }
}

static uint64_t sum_registers(CPUX86State *env)
{
    uint64_t sum = env->eip;

    for (int i = 0; i < CPU_NB_REGS; i++) {
        sum = (sum ^ env->regs[i]) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return (sum ^ env->cr[3]) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Tells that the replay is not what was recorded any more; it is over. */
static void depart(uint64_t count)
{
    char text[256];

    is_departed = true;
    /* What QEMU has registered for the end of the process wants a lock that nobody has then. */
    replay_mode = REPLAY_MODE_NONE;
    snprintf(text, sizeof(text),
             "the replay departs from its recording: it was right up to instruction %" PRIu64
             ", and is not at instruction %" PRIu64,
             last_right_count, count);
    rebox_engine_fault(text);
}

/* Compares with the next check that the recording has, when its place is reached. */
static void compare(check here)
{
    while (has_next && here.count >= next_check.count) {
        if (here.count != next_check.count || here.sum != next_check.sum) {
            depart(here.count);
            return;
        }
        last_right_count = here.count;
        read_check();
    }
}

void rebox_check_recording(CPUX86State *env)
{
    check here;

    if (likely(!checks) || is_departed) {
        return;
    }
    if (replay_mode == REPLAY_MODE_PLAY) {
        here = (check){ .count = rebox_instruction_count(), .sum = sum_registers(env) };
        compare(here);
    } else if (replay_mode == REPLAY_MODE_RECORD) {
        uint64_t count = rebox_instruction_count();

        /* Several may be delivered at one instruction: the check is of the first of them. */
        if (++deliveries >= CHECK_EVERY && count > last_delivery) {
            here = (check){ .count = count, .sum = sum_registers(env) };
            fwrite(&here, sizeof(here), 1, checks);
            deliveries = 0;
        }
        last_delivery = count;
    }
}

/* Whether the guest itself has to do what the log has next: QEMU's main loop has no part in it. */
static bool is_guests_turn(void)
{
    switch (replay_state.data_kind) {
    case EVENT_INSTRUCTION:
    case EVENT_INTERRUPT:
    case EVENT_EXCEPTION:
    case EVENT_CHAR_WRITE:
        /* Where somebody wants it to stop, it does not go on by itself. */
        return runstate_is_running() && replay_break_icount != replay_state.current_icount;
    default:
        return false;
    }
}

void rebox_check_progress(void)
{
    static unsigned int last_event, in_vain;
    static uint64_t last_count;
    uint64_t count = rebox_instruction_count();

    if (replay_state.current_event != last_event || count != last_count || !is_guests_turn() ||
        all_cpu_threads_idle()) {
        last_event = replay_state.current_event;
        last_count = count;
        in_vain = 0;
    } else if (++in_vain == MOST_TURNS_IN_VAIN) {
        depart(count);
    }
}

void rebox_check_idleness(void)
{
    if (replay_mode == REPLAY_MODE_PLAY && !is_departed && !cpu_is_stopped(first_cpu) && is_guests_turn()) {
        depart(rebox_instruction_count());
    }
}
