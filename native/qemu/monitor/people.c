/*
 * The monitor's commands of rebox for people (HMP): in a monitor, which is suspended until its answer is there, and by QMP's
 * human-monitor-command, which waits as a coroutine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/monitor/requests.h"
#include "block/aio.h"
#include "block/aio-wait.h"
#include "monitor/hmp.h"
#include "monitor/monitor-internal.h"
#include "qapi/qmp-registry.h"
#include "qobject/qdict.h"
#include "qobject/qstring.h"
#include "qemu/ctype.h"
#include "qemu/main-loop.h"

/* While human-monitor-command executes a line: its monitor, and what that has asked. */
static Monitor *line_monitor;
static rebox_command_request *line_request;
static QmpCommandFunc *plain_human_monitor_command;

static void execute_for_person(Monitor *monitor, const char *command, const QDict *arguments)
{
    if (monitor == line_monitor) {
        line_request = rebox_ask(NULL, true, command, arguments);
    } else if (monitor_suspend(monitor) == 0) {
        rebox_ask(monitor, true, command, arguments);
    } else {
        /* gdb's "monitor" command: its answer has to be complete when this function returns. */
        monitor_puts(monitor, "Error: this monitor cannot wait for an answer: use another one, such as "
                              "-monitor unix:PATH,server=on,wait=off\n");
    }
}

void hmp_import_module(Monitor *monitor, const QDict *arguments)
{
    execute_for_person(monitor, "import-module", arguments);
}

void hmp_unload_module(Monitor *monitor, const QDict *arguments)
{
    execute_for_person(monitor, "unload-module", arguments);
}

void hmp_reload_module(Monitor *monitor, const QDict *arguments)
{
    execute_for_person(monitor, "reload-module", arguments);
}

void hmp_list_modules(Monitor *monitor, const QDict *arguments)
{
    execute_for_person(monitor, "list-modules", arguments);
}

void hmp_custom(Monitor *monitor, const QDict *arguments)
{
    execute_for_person(monitor, "custom", arguments);
}

void hmp_sh(Monitor *monitor, const QDict *arguments)
{
    execute_for_person(monitor, "sh", arguments);
}

static void complete(ReadLineState *line, int argument_count, const char *begun, char **words)
{
    if (argument_count != 2) {
        return;
    }
    readline_set_completion_index(line, strlen(begun));
    for (; words && *words; words++) {
        if (**words) {
            readline_add_completion_of(line, begun, *words);
        }
    }
}

void rebox_complete_module(ReadLineState *line, int argument_count, const char *begun)
{
    complete(line, argument_count, begun, rebox_module_words);
}

void rebox_complete_custom(ReadLineState *line, int argument_count, const char *begun)
{
    complete(line, argument_count, begun, rebox_command_names);
}

/* ---- HMP by QMP: QEMU's human-monitor-command is no coroutine, because most of HMP must not run in one ---- */

static bool is_own_line(const char *line)
{
    static const char *const names[] = {
        "import_module", "unload_module", "reload_module", "list_modules", "custom", "sh",
    };

    while (qemu_isspace(*line)) {
        line++;
    }
    for (int i = 0; i < ARRAY_SIZE(names); i++) {
        size_t length = strlen(names[i]);

        if (strncmp(line, names[i], length) == 0 && (line[length] == '\0' || qemu_isspace(line[length]))) {
            return true;
        }
    }
    return false;
}

typedef struct plain_line {
    Coroutine *coroutine;
    Monitor *monitor;
    QDict *arguments;
    QObject **result;
    Error **errp;
} plain_line;

/* Does as do_qmp_dispatch_bh() in qapi/qmp-dispatch.c for a command that is no coroutine. */
static void execute_plain_line(void *opaque)
{
    plain_line *line = opaque;

    monitor_set_cur(qemu_coroutine_self(), line->monitor);
    plain_human_monitor_command(line->arguments, line->result, line->errp);
    monitor_set_cur(qemu_coroutine_self(), NULL);
    aio_co_wake(line->coroutine);
    aio_wait_kick();
}

static void coroutine_fn human_monitor_command(QDict *arguments, QObject **result, Error **errp)
{
    const char *text = qdict_get_try_str(arguments, "command-line");
    MonitorHMP monitor = {};
    rebox_command_request *request;

    if (!text || !is_own_line(text)) {
        plain_line line = {
            .coroutine = qemu_coroutine_self(),
            .monitor = monitor_cur(),
            .arguments = arguments,
            .result = result,
            .errp = errp,
        };

        aio_bh_schedule_oneshot(iohandler_get_aio_context(), execute_plain_line, &line);
        qemu_coroutine_yield();
        return;
    }
    monitor_data_init(&monitor.common, false, true, false);
    line_monitor = &monitor.common;
    line_request = NULL;
    handle_hmp_command(&monitor, text);
    request = line_request;
    line_monitor = NULL;
    line_request = NULL;
    if (request) {
        rebox_wait_for_answer(request);
        rebox_print_answer(&monitor.common, request);
        rebox_free_request(request);
    }
    WITH_QEMU_LOCK_GUARD(&monitor.common.mon_lock) {
        *result = QOBJECT(qstring_from_str(monitor.common.outbuf->str));
    }
    monitor_data_destroy(&monitor.common);
}

/* Lets human-monitor-command wait for rebox's commands. */
static void start(void)
{
    /* QEMU's list is its own, but has no other way to exchange a command. */
    QmpCommand *command = (QmpCommand *)qmp_find_command(&qmp_commands, "human-monitor-command");

    plain_human_monitor_command = command->fn;
    command->options |= QCO_COROUTINE;
    command->fn = human_monitor_command;
}

static const rebox_floor people = { .start = start };
REBOX_FLOOR(people)
