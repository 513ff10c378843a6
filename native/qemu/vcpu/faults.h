/*
 * QEMU's attempts to end the process, and its reports before that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_FAULTS_H
#define REBOX_FAULTS_H

#include <stddef.h>

/* While QEMU is initialised its exit() returns to rebox_engine_start(), and its reports are collected in message. */
void rebox_faults_begin_init(char *message, size_t message_size);
void rebox_faults_end_init(void);

/* Marks the calling thread as QEMU's main loop. */
void rebox_faults_enter_main_loop(void);

/* Makes a fatal signal raised by QEMU's code end the process with status 70 and a line that says where. */
void rebox_faults_install_handlers(void);

/* engine.c: ends the engine as crashed; the process lives on. */
void rebox_engine_fault(const char *message);

/* engine.c: leaves qemu_init(). */
G_NORETURN void rebox_init_exit(int status);

#endif
