// The monitored processes and the count of blocks, for JavaScript.
#pragma once

#include <napi.h>

Napi::Object InitMonitoring(Napi::Env env, Napi::Object exports);
