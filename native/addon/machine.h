// Registers, memory and ports seen from JavaScript.
#pragma once

#include <napi.h>

Napi::Object InitMachine(Napi::Env env, Napi::Object exports);
