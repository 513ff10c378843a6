/*
 * Shared by the files of recording.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_RECORDING_H
#define REBOX_RECORDING_H

#include "rebox/vcpu/vcpu.h"

/* recording_log.c */
/* Says how many bytes of a log that was cut off can be replayed; -1: all of it. */
void rebox_limit_log(int64_t size);
/* Takes over the log's file from QEMU. */
void rebox_begin_log(void);
/* Whether nothing can be written any more. */
bool rebox_log_has_failed(void);

/* leaving.c: QEMU's main loop, the machine being paused. Leaves the recording: the machine is an ordinary one from then on. */
bool rebox_go_live(Error **errp);

/* replay_clocks.c: in a turn of the vCPUs, fires the timers of clocks that the log has next. */
void rebox_replay_clocks(void);

/* recording_checks.c */
void rebox_begin_checks(void);
void rebox_flush_checks(void);
/* A replay was set to this count: the checks that follow it are those to come. */
void rebox_seek_checks(uint64_t count);
void rebox_end_checks(void);
/* At each turn of the vCPUs in a replay, with QEMU's lock and that of the log: notices that they turn in vain. */
void rebox_check_progress(void);
/* With QEMU's lock, where all vCPUs have been idle for a while: notices that the recorded ones were not. */
void rebox_check_idleness(void);

#endif
