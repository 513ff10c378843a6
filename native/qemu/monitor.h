/*
 * The monitor's commands of rebox, from QEMU's start to its end (monitor_people.c, monitor_requests.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_MONITOR_H
#define REBOX_MONITOR_H

/* Lets human-monitor-command wait for rebox's commands. After qemu_init(). */
void rebox_commands_init(void);

/* Answers what is still asked with an error, and whatever comes: QEMU's end waits for its monitors. Main loop. */
void rebox_commands_close(void);

#endif
