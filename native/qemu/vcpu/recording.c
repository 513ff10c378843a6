/*
 * Recording an execution and replaying it, by QEMU's own recorder (replay/). Its log is the business of recording_log.c and
 * recording_scan.c, checks of recording_checks.c, and the states to which a replay goes back of states.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/recording.h"
#include "rebox/vcpu/states.h"
#include "qapi/qapi-types-ui.h"
#include "system/replay.h"
#include "system/runstate.h"
#include "system/runstate-action.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

static bool failure_told;

bool rebox_is_recorded(void)
{
    return replay_mode != REPLAY_MODE_NONE;
}

rebox_recording_mode rebox_recording(void)
{
    switch (replay_mode) {
    case REPLAY_MODE_RECORD:
        return REBOX_RECORDING;
    case REPLAY_MODE_PLAY:
        return REBOX_REPLAYING;
    default:
        return REBOX_NOT_RECORDED;
    }
}

uint64_t rebox_recording_events(void)
{
    return qatomic_read(&replay_state.current_event);
}

void rebox_recording_begin(void)
{
    if (rebox_is_recorded()) {
        rebox_begin_checks();
        rebox_begin_log();
    }
}

void rebox_recording_turn(void)
{
    static uint32_t turns;

    if (replay_mode == REPLAY_MODE_PLAY) {
        rebox_check_progress();
        rebox_states_turn();
    }
    if (replay_mode != REPLAY_MODE_RECORD) {
        return;
    }
    /* A killed process leaves what was written: a recording of a second ago, not of the last full buffer. */
    if ((++turns & 0x3f) == 0) {
        fflush(replay_file);
        rebox_flush_checks();
    }
    if (unlikely(rebox_log_has_failed()) && !failure_told) {
        failure_told = true;
        shutdown_action = SHUTDOWN_ACTION_POWEROFF;
        qemu_system_shutdown_request(SHUTDOWN_CAUSE_HOST_ERROR);
    }
}

void rebox_recording_end(void)
{
    rebox_end_checks();
    rebox_forget_states();
}

void __real_qemu_system_shutdown_request(ShutdownCause cause);
void __wrap_qemu_system_shutdown_request(ShutdownCause cause);
void __wrap_qemu_system_shutdown_request(ShutdownCause cause)
{
    /* QEMU writes the event in front of the instructions since the one before: a replay would end that much too early. */
    if (replay_mode == REPLAY_MODE_RECORD && replay_mutex_locked()) {
        replay_save_instructions();
    }
    __real_qemu_system_shutdown_request(cause);
    /*
     * QEMU's main loop stops the vCPUs some instructions later, at no certain one. Where the guest itself ends the machine,
     * recording and replay are to end at the same one.
     */
    if (rebox_is_recorded() && current_cpu && rebox_in_guest_code()) {
        rebox_stop_executing();
    }
}
