/*
 * QMP without a socket: requests are begun on QEMU's main loop in the order in which they were made. Each is done before the next one
 * begins, except commands that QEMU has as coroutines, which may take their time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "block/aio.h"
#include "monitor/monitor-internal.h"
#include "qapi/error.h"
#include "qapi/qmp-registry.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qobject.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"

typedef struct qmp_request {
    QObject *object;
    rebox_qmp_done done;
    void *opaque;
} qmp_request;

/* Requests that have not begun. */
static GAsyncQueue *waiting;
static QEMUBH *begin_bh;

static void coroutine_mixed_fn execute(void *opaque)
{
    qmp_request *request = opaque;
    QDict *response = qmp_dispatch(&qmp_commands, request->object, false, NULL);
    /* A command without a success response, such as quit in QEMU's own terms, answers nothing at all. */
    GString *json = qobject_to_json(response ? QOBJECT(response) : QOBJECT(qdict_new()));

    request->done(request->opaque, json->str);
    g_string_free(json, true);
    qobject_unref(response);
    qobject_unref(request->object);
    g_free(request);
}

static void coroutine_fn execute_in_coroutine(void *opaque)
{
    execute(opaque);
}

static bool is_coroutine(const QObject *request)
{
    const QDict *dict = qobject_to(QDict, request);
    const char *name = dict ? qdict_get_try_str(dict, "execute") : NULL;
    const QmpCommand *command = name ? qmp_find_command(&qmp_commands, name) : NULL;

    return command && (command->options & QCO_COROUTINE);
}

/*
 * A coroutine for every command would not keep the order: qmp_dispatch() leaves it for a plain command by a bottom half, and of several
 * bottom halves the last is the first.
 */
static void begin_waiting(void *opaque)
{
    qmp_request *request;

    while ((request = g_async_queue_try_pop(waiting)) != NULL) {
        if (is_coroutine(request->object)) {
            /* Where QMP's own dispatcher runs: qmp_dispatch() moves to the main context and comes back to this one. */
            aio_co_schedule(iohandler_get_aio_context(), qemu_coroutine_create(execute_in_coroutine, request));
        } else {
            execute(request);
        }
    }
}

void rebox_qmp(const char *text, rebox_qmp_done done, void *opaque)
{
    Error *error = NULL;
    QObject *object = qobject_from_json(text, &error);
    qmp_request *request;

    if (!object) {
        g_autoptr(GString) json = NULL;
        QDict *response = qmp_error_response(error);

        json = qobject_to_json(QOBJECT(response));
        done(opaque, json->str);
        qobject_unref(response);
        return;
    }
    request = g_new(qmp_request, 1);
    *request = (qmp_request){ .object = object, .done = done, .opaque = opaque };
    if (!begin_bh) {
        waiting = g_async_queue_new();
        begin_bh = aio_bh_new(iohandler_get_aio_context(), begin_waiting, NULL);
    }
    g_async_queue_push(waiting, request);
    qemu_bh_schedule(begin_bh);
}
