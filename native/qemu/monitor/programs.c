/*
 * The monitor's commands of rebox for programs (QMP): those of qapi/rebox.json.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/monitor/requests.h"
#include "rebox/vcpu/recording.h"
#include "rebox/vcpu/states.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-rebox.h"
#include "qapi/qapi-visit-rebox.h"
#include "qapi/qobject-input-visitor.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"

/* Returns what reads the answer; NULL and an error when the command failed. */
static Visitor *coroutine_fn execute_for_program(const char *command, QDict *arguments, Error **errp)
{
    rebox_command_request *request = rebox_ask(NULL, false, command, arguments);
    QObject *answer = NULL;
    Visitor *visitor = NULL;

    qobject_unref(arguments);
    rebox_wait_for_answer(request);
    if (request->is_failed) {
        error_setg(errp, "%s", request->text);
    } else {
        answer = qobject_from_json(request->text, errp);
    }
    if (answer) {
        visitor = qobject_input_visitor_new(answer);
        qobject_unref(answer);
    }
    rebox_free_request(request);
    return visitor;
}

/* The arguments of a command on a script, of which one is there; Node refuses another number. */
static QDict *module_arguments(bool has_handle, int64_t handle, const char *name)
{
    QDict *arguments = qdict_new();

    if (has_handle) {
        qdict_put_int(arguments, "handle", handle);
    }
    if (name) {
        qdict_put_str(arguments, "name", name);
    }
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

ScriptModule *coroutine_fn qmp_reload_module(bool has_handle, int64_t handle, const char *name, Error **errp)
{
    return execute_for_module("reload-module", module_arguments(has_handle, handle, name), errp);
}

void coroutine_fn qmp_unload_module(bool has_handle, int64_t handle, const char *name, Error **errp)
{
    visit_free(execute_for_program("unload-module", module_arguments(has_handle, handle, name), errp));
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

RestoredState *qmp_restore_state(int64_t count, Error **errp)
{
    uint64_t reached;
    RestoredState *answer;

    if (!rebox_restore_state(MAX(0, count), &reached, errp)) {
        return NULL;
    }
    answer = g_new0(RestoredState, 1);
    answer->count = reached;
    return answer;
}

void qmp_go_live(Error **errp)
{
    rebox_go_live(errp);
}
