// Events of the guest's system, which TypeScript raises: processes and modules.
#pragma once

#include <napi.h>

Napi::Object InitGuestEvents(Napi::Env env, Napi::Object exports);
