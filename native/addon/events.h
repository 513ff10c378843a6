// Events seen from JavaScript: subscriptions and their dispatch.
#pragma once

#include <napi.h>

Napi::Object InitEvents(Napi::Env env, Napi::Object exports);
