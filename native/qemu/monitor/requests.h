/*
 * The monitor's commands of rebox as requests (requests.c), for people (people.c) and for programs (programs.c).
 * All of it is the main loop's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_MONITOR_REQUESTS_H
#define REBOX_MONITOR_REQUESTS_H

#include "rebox/vcpu/vcpu.h"
#include "monitor/monitor.h"
#include "qemu/coroutine.h"
#include "qemu/queue.h"
#include "qemu/timer.h"

/* A command that is being executed. */
typedef struct rebox_command_request {
    uint64_t id;
    Monitor *monitor; /* that prints the answer and then has its prompt back; NULL: a coroutine waits */
    Coroutine *coroutine;
    bool is_for_person, is_handed_over, is_answered, is_failed;
    const char *command;
    char *arguments; /* JSON */
    char *text;
    QEMUTimer *timer;
    QTAILQ_ENTRY(rebox_command_request) entry;
} rebox_command_request;

/* The words that a monitor completes for a person: handles and names of scripts, names of their commands. */
extern char **rebox_module_words, **rebox_command_names;

/* Has a command executed. Without a monitor the caller waits, and frees the request. command is a literal. */
rebox_command_request *rebox_ask(Monitor *monitor, bool is_for_person, const char *command, const QDict *arguments);
void coroutine_fn rebox_wait_for_answer(rebox_command_request *request);
void rebox_print_answer(Monitor *monitor, const rebox_command_request *request);
void rebox_free_request(rebox_command_request *request);

#endif
