/*
 * A replay that leaves its recording: from there the machine lives on as an ordinary one, with counted instructions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/recording.h"
#include "rebox/vcpu/states.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-replay.h"
#include "qemu/seqlock.h"
#include "qemu/timer.h"
#include "system/cpu-timers.h"
#include "system/cpu-timers-internal.h"
#include "system/replay.h"
#include "system/runstate.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

/* A vCPU that waits has noted the time of the recording's clock, which is another one than the host's. */
static void forget_waiting(void)
{
    seqlock_write_lock(&timers_state.vm_clock_seqlock, &timers_state.vm_clock_lock);
    timers_state.vm_clock_warp_start = -1;
    seqlock_write_unlock(&timers_state.vm_clock_seqlock, &timers_state.vm_clock_lock);
    if (timers_state.icount_warp_timer) {
        timer_del(timers_state.icount_warp_timer);
    }
}

bool rebox_go_live(Error **errp)
{
    if (replay_mode != REPLAY_MODE_PLAY) {
        error_setg(errp, "the machine replays nothing");
        return false;
    }
    if (!rebox_end_operations(errp)) {
        return false;
    }
    qmp_replay_delete_break(NULL);
    rebox_end_checks();
    rebox_end_going_back();
    rebox_forget_states();
    replay_finish_events();
    fclose(replay_file);
    replay_file = NULL;
    forget_waiting();
    /*
     * Who waits for the lock of the log gets it, and gives nothing back any more; nor does anybody want it. The one that has it
     * now waits for QEMU's lock, which is ours.
     */
    replay_mutex_unlock();
    replay_mode = REPLAY_MODE_NONE;
    if (runstate_check(RUN_STATE_SHUTDOWN)) {
        runstate_set(RUN_STATE_PAUSED);
    }
    return true;
}
