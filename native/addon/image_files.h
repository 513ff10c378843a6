// Memory images as files: written, expanded and mapped.
#pragma once

#include <napi.h>

Napi::Object InitImageFiles(Napi::Env env, Napi::Object exports);
