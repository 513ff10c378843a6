// The engine seen from JavaScript: start, slices, QMP, and what QEMU's main loop has to tell.
#pragma once

#include <napi.h>

#include <functional>

Napi::Object InitEngine(Napi::Env env, Napi::Object exports);

// Any thread. Runs work on Node's thread, by the event loop, within a scope for calls; dropped when the engine is gone.
void PostToEventLoop(std::function<void()> work);
