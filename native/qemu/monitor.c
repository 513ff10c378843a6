/*
 * The monitor's commands of rebox. They arrive on QEMU's main loop and are executed by Node's thread, so whoever gave one
 * waits, and nothing else does: a QMP command as a coroutine, a monitor without its prompt. The BQL is held nowhere
 * meanwhile, since Node's thread needs it to execute the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/machine.h"
#include "rebox/monitor.h"
#include "block/aio.h"
#include "block/aio-wait.h"
#include "monitor/hmp.h"
#include "monitor/monitor-internal.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-rebox.h"
#include "qapi/qapi-visit-rebox.h"
#include "qapi/qmp-registry.h"
#include "qapi/qobject-input-visitor.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qstring.h"
#include "qemu/coroutine.h"
#include "qemu/ctype.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/timer.h"

/* How long a command waits for somebody who executes it: a monitor is there before the program that made the machine. */
#define START_WAIT_MS 10000

/* A command that is being executed. Everything here but the messages to it is the main loop's. */
typedef struct command_request {
    uint64_t id;
    Monitor *monitor;       /* that prints the answer and then has its prompt back; NULL: a coroutine waits */
    Coroutine *coroutine;
    bool is_for_person, is_handed_over, is_answered, is_failed;
    const char *command;
    char *arguments;        /* JSON */
    char *text;
    QEMUTimer *timer;
    QTAILQ_ENTRY(command_request) entry;
} command_request;

static QTAILQ_HEAD(, command_request) requests = QTAILQ_HEAD_INITIALIZER(requests);
static uint64_t last_id;
static rebox_command_server server;
static int timeout_ms;
static bool was_served, is_closed;
static char **handle_words, **name_words;

/* While human-monitor-command executes a line: its monitor, and what that has asked. */
static Monitor *line_monitor;
static command_request *line_request;
static QmpCommandFunc *plain_human_monitor_command;

static void print_answer(Monitor *monitor, const command_request *request)
{
    if (request->is_failed) {
        monitor_puts(monitor, "Error: ");
    }
    monitor_puts(monitor, request->text);
    if (*request->text && !g_str_has_suffix(request->text, "\n")) {
        monitor_puts(monitor, "\n");
    }
}

static void free_request(command_request *request)
{
    g_free(request->arguments);
    g_free(request->text);
    g_free(request);
}

static void conclude(command_request *request, bool is_failed, const char *text)
{
    QTAILQ_REMOVE(&requests, request, entry);
    timer_free(request->timer);
    request->is_answered = true;
    request->is_failed = is_failed;
    request->text = g_strdup(text);
    if (request->monitor) {
        print_answer(request->monitor, request);
        monitor_resume(request->monitor);
        free_request(request);
    } else if (request->coroutine) {
        aio_co_wake(request->coroutine);
    }
}

static const char *describe_absence(void)
{
    return is_closed ? "the engine has ended" : was_served ? "the run is ending" : "no program in this process serves "
           "scripts: start it with rebox run";
}

static void on_timeout(void *opaque)
{
    command_request *request = opaque;
    g_autofree char *text = NULL;

    if (!request->is_handed_over) {
        conclude(request, true, describe_absence());
        return;
    }
    text = g_strdup_printf("no answer within %g s: the command may still be executed; list_modules tells which scripts "
                           "are loaded", timeout_ms / 1000.0);
    conclude(request, true, text);
}

static void hand_over(command_request *request)
{
    request->is_handed_over = true;
    timer_mod(request->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + timeout_ms);
    server.request(server.opaque, request->id, request->is_for_person, request->command, request->arguments);
}

/* Without a monitor the caller waits, and frees the request. command is a literal. */
static command_request *ask(Monitor *monitor, const char *command, const QDict *arguments)
{
    command_request *request = g_new0(command_request, 1);
    GString *json = qobject_to_json(QOBJECT(arguments));

    request->id = ++last_id;
    request->monitor = monitor;
    request->is_for_person = monitor || line_monitor;
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

static void coroutine_fn wait_for_answer(command_request *request)
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
    command_request *request;

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
    *answer = (command_answer) { .id = id, .is_failed = failed, .text = g_strdup(text) };
    aio_bh_schedule_oneshot(qemu_get_aio_context(), deliver_answer, answer);
}

typedef struct command_service {
    rebox_command_server server;
    int timeout_ms;
} command_service;

static void conclude_all(const char *text)
{
    command_request *request;

    while ((request = QTAILQ_FIRST(&requests))) {
        conclude(request, true, text);
    }
}

static void hand_over_waiting(void)
{
    command_request *request;

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
    char **handles, **names;
} command_words;

static void set_words(void *opaque)
{
    command_words *words = opaque;

    g_strfreev(handle_words);
    g_strfreev(name_words);
    handle_words = words->handles;
    name_words = words->names;
    g_free(words);
}

void rebox_command_words(const char *handles, const char *names)
{
    command_words *words;

    if (rebox_engine_has_ended()) {
        return;
    }
    words = g_new(command_words, 1);
    *words = (command_words) { .handles = g_strsplit(handles, "\n", -1), .names = g_strsplit(names, "\n", -1) };
    aio_bh_schedule_oneshot(qemu_get_aio_context(), set_words, words);
}

/* ---- HMP ---- */

static void execute_for_person(Monitor *monitor, const char *command, const QDict *arguments)
{
    if (monitor == line_monitor) {
        line_request = ask(NULL, command, arguments);
    } else if (monitor_suspend(monitor) == 0) {
        ask(monitor, command, arguments);
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

void rebox_complete_handle(ReadLineState *line, int argument_count, const char *begun)
{
    complete(line, argument_count, begun, handle_words);
}

void rebox_complete_custom(ReadLineState *line, int argument_count, const char *begun)
{
    complete(line, argument_count, begun, name_words);
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

/* What do_qmp_dispatch_bh() in qapi/qmp-dispatch.c does for a command that is no coroutine. */
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
    command_request *request;

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
        wait_for_answer(request);
        print_answer(&monitor.common, request);
        free_request(request);
    }
    WITH_QEMU_LOCK_GUARD(&monitor.common.mon_lock) {
        *result = QOBJECT(qstring_from_str(monitor.common.outbuf->str));
    }
    monitor_data_destroy(&monitor.common);
}

void rebox_commands_init(void)
{
    /* QEMU's list is its own, but has no other way to exchange a command. */
    QmpCommand *command = (QmpCommand *)qmp_find_command(&qmp_commands, "human-monitor-command");

    plain_human_monitor_command = command->fn;
    command->options |= QCO_COROUTINE;
    command->fn = human_monitor_command;
}

void rebox_commands_close(void)
{
    is_closed = true;
    server.request = NULL;
    conclude_all("the engine ended before there was an answer");
}

/* ---- QMP: the commands of qapi/rebox.json ---- */

/* Returns what reads the answer; NULL and an error when the command failed. */
static Visitor *coroutine_fn execute_for_program(const char *command, QDict *arguments, Error **errp)
{
    command_request *request = ask(NULL, command, arguments);
    QObject *answer = NULL;
    Visitor *visitor = NULL;

    qobject_unref(arguments);
    wait_for_answer(request);
    if (request->is_failed) {
        error_setg(errp, "%s", request->text);
    } else {
        answer = qobject_from_json(request->text, errp);
    }
    if (answer) {
        visitor = qobject_input_visitor_new(answer);
        qobject_unref(answer);
    }
    free_request(request);
    return visitor;
}

static QDict *handle_argument(int64_t handle)
{
    QDict *arguments = qdict_new();

    qdict_put_int(arguments, "handle", handle);
    return arguments;
}

static ScriptModule *coroutine_fn execute_for_module(const char *command, QDict *arguments, Error **errp)
{
    Visitor *answer = execute_for_program(command, arguments, errp);
    ScriptModule *module = NULL;

    if (answer) {
        visit_type_ScriptModule(answer, NULL, &module, errp);
        visit_free(answer);
    }
    return module;
}

ScriptModule *coroutine_fn qmp_import_module(const char *file, Error **errp)
{
    QDict *arguments = qdict_new();

    qdict_put_str(arguments, "file", file);
    return execute_for_module("import-module", arguments, errp);
}

ScriptModule *coroutine_fn qmp_reload_module(int64_t handle, Error **errp)
{
    return execute_for_module("reload-module", handle_argument(handle), errp);
}

void coroutine_fn qmp_unload_module(int64_t handle, Error **errp)
{
    visit_free(execute_for_program("unload-module", handle_argument(handle), errp));
}

ScriptModuleList *coroutine_fn qmp_list_modules(Error **errp)
{
    Visitor *answer = execute_for_program("list-modules", qdict_new(), errp);
    ScriptModuleList *modules = NULL;

    if (answer) {
        visit_type_ScriptModuleList(answer, NULL, &modules, errp);
        visit_free(answer);
    }
    return modules;
}

ScriptOutput *coroutine_fn qmp_custom(const char *name, const char *rest, Error **errp)
{
    QDict *arguments = qdict_new();
    ScriptOutput *output = NULL;
    Visitor *answer;

    qdict_put_str(arguments, "name", name);
    qdict_put_str(arguments, "arguments", rest ? rest : "");
    answer = execute_for_program("custom", arguments, errp);
    if (answer) {
        visit_type_ScriptOutput(answer, NULL, &output, errp);
        visit_free(answer);
    }
    return output;
}

ShellOutput *coroutine_fn qmp_sh(const char *command, Error **errp)
{
    QDict *arguments = qdict_new();
    ShellOutput *output = NULL;
    Visitor *answer;

    qdict_put_str(arguments, "command", command);
    answer = execute_for_program("sh", arguments, errp);
    if (answer) {
        visit_type_ShellOutput(answer, NULL, &output, errp);
        visit_free(answer);
    }
    return output;
}
