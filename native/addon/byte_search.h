// Finds bytes in bytes, at the speed of memory for all contents of either.
#pragma once

#include <napi.h>

Napi::Object InitByteSearch(Napi::Env env, Napi::Object exports);
