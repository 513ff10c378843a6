// Which processes' events are raised, and the count of blocks, seen from JavaScript.
#pragma once

#include <napi.h>

Napi::Object InitMonitoring(Napi::Env env, Napi::Object exports);
