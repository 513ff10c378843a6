// Events seen from JavaScript: subscriptions and their dispatch.
#pragma once

#include <napi.h>

Napi::Object InitEvents(Napi::Env env, Napi::Object exports);

// Hands what streams hold to their handlers, full or not. Call inside a scope.
void HandOverStreams();
