/*
 * QMP without a socket: one coroutine on QEMU's main loop for each request.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/machine.h"
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

static void coroutine_fn execute(void *opaque)
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
    *request = (qmp_request) { .object = object, .done = done, .opaque = opaque };
    /* Where QMP's own dispatcher runs: qmp_dispatch() moves to the main context and comes back to this one. */
    aio_co_schedule(iohandler_get_aio_context(), qemu_coroutine_create(execute, request));
}
