// Finds bytes in bytes, at the speed of memory whatever either looks like.
#pragma once

#include <napi.h>

Napi::Object InitByteSearch(Napi::Env env, Napi::Object exports);
