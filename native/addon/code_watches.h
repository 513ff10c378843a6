// Watches on code: calls TypeScript before a page is executed for the first time since it was written.
#pragma once

#include <napi.h>

#include "qemu_glue.h"

// Fills in the function for this event.
void ListenToCodeWatches(rebox_listener* listener);

Napi::Object InitCodeWatches(Napi::Env env, Napi::Object exports);
