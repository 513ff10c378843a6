/*
 * The monitor's commands of rebox. They arrive on QEMU's main loop and are executed by Node's thread, so a command
 * waits, and nothing else does: one of QMP as a coroutine, one of a monitor without its prompt. The BQL is held nowhere
 * in the meantime, since Node's thread needs it to execute the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/monitor/requests.h"
#include "block/aio.h"
#include "monitor/monitor-internal.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/timer.h"

/* The time that a command waits for somebody who executes it: a monitor is there before the program that made the machine. */
#define START_WAIT_MS 10000

static QTAILQ_HEAD(, rebox_command_request) requests = QTAILQ_HEAD_INITIALIZER(requests);
static uint64_t last_id;
static rebox_command_server server;
static int timeout_ms;
static bool was_served, is_closed;
char **rebox_module_words, **rebox_command_names;

void rebox_print_answer(Monitor *monitor, const rebox_command_request *request)
{
    if (request->is_failed) {
        monitor_puts(monitor, "Error: ");
    }
    monitor_puts(monitor, request->text);
    if (*request->text && !g_str_has_suffix(request->text, "\n")) {
        monitor_puts(monitor, "\n");
    }
}

void rebox_free_request(rebox_command_request *request)
{
    g_free(request->arguments);
    g_free(request->text);
    g_free(request);
}

static void conclude(rebox_command_request *request, bool is_failed, const char *text)
{
    QTAILQ_REMOVE(&requests, request, entry);
    timer_free(request->timer);
    request->is_answered = true;
    request->is_failed = is_failed;
    request->text = g_strdup(text);
    if (request->monitor) {
        rebox_print_answer(request->monitor, request);
        monitor_resume(request->monitor);
        rebox_free_request(request);
    } else if (request->coroutine) {
        aio_co_wake(request->coroutine);
    }
}

static const char *describe_absence(void)
{
    return is_closed    ? "the engine has ended"
           : was_served ? "the run is ending"
                        : "no program in this process serves "
                          "scripts: start it with rebox run";
}

static void on_timeout(void *opaque)
{
    rebox_command_request *request = opaque;
    g_autofree char *text = NULL;

    if (!request->is_handed_over) {
        conclude(request, true, describe_absence());
        return;
    }
    text = g_strdup_printf("no answer within %g s: the command may still be executed; list_modules tells which scripts "
                           "are loaded",
                           timeout_ms / 1000.0);
    conclude(request, true, text);
}

static void hand_over(rebox_command_request *request)
{
    request->is_handed_over = true;
    timer_mod(request->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + timeout_ms);
    server.request(server.opaque, request->id, request->is_for_person, request->command, request->arguments);
}

rebox_command_request *rebox_ask(Monitor *monitor, bool is_for_person, const char *command, const QDict *arguments)
{
    rebox_command_request *request = g_new0(rebox_command_request, 1);
    GString *json = qobject_to_json(QOBJECT(arguments));

    request->id = ++last_id;
    request->monitor = monitor;
    request->is_for_person = is_for_person;
    request->command = command;
    request->arguments = g_string_free(json, false);
    request->timer = timer_new_ms(QEMU_CLOCK_REALTIME, on_timeout, request);
    QTAILQ_INSERT_TAIL(&requests, request, entry);
    if (server.request) {
        hand_over(request);
    } else if (was_served || is_closed) {
        conclude(request, true, describe_absence());
    } else {
        timer_mod(request->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + START_WAIT_MS);
    }
    return request;
}

void coroutine_fn rebox_wait_for_answer(rebox_command_request *request)
{
    while (!request->is_answered) {
        request->coroutine = qemu_coroutine_self();
        qemu_coroutine_yield();
    }
}

/* ---- messages of other threads, which the main loop reads ---- */

typedef struct command_answer {
    uint64_t id;
    bool is_failed;
    char *text;
} command_answer;

static void deliver_answer(void *opaque)
{
    command_answer *answer = opaque;
    rebox_command_request *request;

    QTAILQ_FOREACH(request, &requests, entry) {
        if (request->id == answer->id) {
            conclude(request, answer->is_failed, answer->text);
            break;
        }
    }
    g_free(answer->text);
    g_free(answer);
}

void rebox_command_answer(uint64_t id, bool failed, const char *text)
{
    command_answer *answer;

    if (rebox_engine_has_ended()) {
        return;
    }
    answer = g_new(command_answer, 1);
    *answer = (command_answer){ .id = id, .is_failed = failed, .text = g_strdup(text) };
    aio_bh_schedule_oneshot(qemu_get_aio_context(), deliver_answer, answer);
}

typedef struct command_service {
    rebox_command_server server;
    int timeout_ms;
} command_service;

static void conclude_all(const char *text)
{
    rebox_command_request *request;

    while ((request = QTAILQ_FIRST(&requests))) {
        conclude(request, true, text);
    }
}

static void hand_over_waiting(void)
{
    rebox_command_request *request;

    QTAILQ_FOREACH(request, &requests, entry) {
        if (!request->is_handed_over) {
            hand_over(request);
        }
    }
}

static void set_service(void *opaque)
{
    command_service *service = opaque;

    if (!is_closed) {
        server = service->server;
        timeout_ms = service->timeout_ms;
        was_served = true;
        if (server.request) {
            hand_over_waiting();
        } else {
            conclude_all("the run ended before there was an answer");
        }
    }
    g_free(service);
}

void rebox_commands_serve(const rebox_command_server *wanted, int wanted_timeout_ms)
{
    command_service *service;

    if (rebox_engine_has_ended()) {
        return;
    }
    service = g_new0(command_service, 1);
    if (wanted) {
        service->server = *wanted;
        service->timeout_ms = wanted_timeout_ms;
    }
    aio_bh_schedule_oneshot(qemu_get_aio_context(), set_service, service);
}

typedef struct command_words {
    char **modules, **names;
} command_words;

static void set_words(void *opaque)
{
    command_words *words = opaque;

    g_strfreev(rebox_module_words);
    g_strfreev(rebox_command_names);
    rebox_module_words = words->modules;
    rebox_command_names = words->names;
    g_free(words);
}

void rebox_command_words(const char *modules, const char *names)
{
    command_words *words;

    if (rebox_engine_has_ended()) {
        return;
    }
    words = g_new(command_words, 1);
    *words = (command_words){ .modules = g_strsplit(modules, "\n", -1), .names = g_strsplit(names, "\n", -1) };
    aio_bh_schedule_oneshot(qemu_get_aio_context(), set_words, words);
}

/* Answers all commands with an error, those that wait and those to come: QEMU's end waits for its monitors. */
static void close_commands(void)
{
    is_closed = true;
    server.request = NULL;
    conclude_all("the engine ended before there was an answer");
}

static const rebox_floor requested = { .close = close_commands };
REBOX_FLOOR(requested)
