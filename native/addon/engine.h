// The engine seen from JavaScript: start, slices, QMP, and what QEMU's main loop has to tell.
#pragma once

#include <napi.h>

Napi::Object InitEngine(Napi::Env env, Napi::Object exports);

// Ends a running engine for the end of the process.
void EndEngine();
