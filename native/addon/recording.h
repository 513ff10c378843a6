// The count of instructions, and the recorder, seen from JavaScript.
#pragma once

#include <napi.h>

Napi::Object InitRecording(Napi::Env env, Napi::Object exports);
